// Where a model looks: a picture laid over the large image, asked for until it has been computed.

import { addressOf, element, svg } from "../shared/dom.js";

const ASK_AFTER_MS = 250; // whoever leafs through the images has none of them computed
const ASK_AGAIN_MS = 400;
const GIVE_UP_MS = 90_000; // a worker that has to start loads its libraries first
const OPACITY_KEY = "lacquer.heat_map.opacity";
const OPACITY = 80;

export class HeatMap {
  constructor({ onExplain, isOn = true }) {
    this.onExplain = onExplain;
    this.isOn = isOn;
    this.picture = svg("image", { preserveAspectRatio: "none" });
    this.layer = svg("svg", {
      class: "lq-large lq-heat", preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true",
    }, [this.picture]);
    this.button = element("button", { type: "button", class: "lq-button", text: "Heat map", on: { click: () => this.toggle() } });
    this.slider = element("input", {
      type: "range", class: "lq-size", min: 10, max: 100, step: 5, "aria-label": "Opacity of the heat map",
      on: { input: () => this.setOpacity(Number(this.slider.value)) },
    });
    this.told = element("span", { class: "lq-told", role: "status" });
    this.controls = element("div", { class: "lq-heat-controls", hidden: true }, [this.button, this.slider, this.told]);
    this.setOpacity(Number(sessionStorage.getItem(OPACITY_KEY)) || OPACITY);
  }

  /** @param url address of an image's heat map, with "{id}"; empty where a page has none. */
  configure(url) {
    const isOther = url !== this.url;
    this.url = url;
    this.controls.hidden = !url;
    if (isOther && this.id !== undefined) this.show(this.id);
    this.refresh();
  }

  /** The picture fills the image's own pixels: both are fitted to the stage alike. */
  fit([width, height]) {
    this.layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.setAttribute("width", width);
    this.picture.setAttribute("height", height);
  }

  show(id) {
    this.leave();
    this.id = id;
    if (this.url && this.isOn) this.timer = setTimeout(() => this.ask(id, Date.now(), true), ASK_AFTER_MS);
  }

  leave() {
    clearTimeout(this.timer);
    this.id = undefined;
    this.picture.removeAttribute("href");
    this.tell("");
  }

  toggle() {
    if (!this.url) return;
    this.isOn = !this.isOn;
    if (this.isOn && !this.picture.hasAttribute("href") && this.id !== undefined) this.show(this.id);
    this.refresh();
  }

  async ask(id, since, isFirst) {
    const url = this.url;
    const isWanted = () => this.id === id && this.url === url;
    const address = addressOf(url, id);
    let status = 0;
    try {
      status = (await fetch(address)).status;
    } catch {
      status = 0; // the server restarts, perhaps
    }
    if (!isWanted()) return;
    if (status === 200) {
      this.picture.setAttribute("href", address);
      this.tell("");
    } else if ((status === 204 || status === 0) && Date.now() - since < GIVE_UP_MS) {
      if (isFirst) this.onExplain(id);
      this.tell("Computing…");
      this.timer = setTimeout(() => this.ask(id, since, false), ASK_AGAIN_MS);
    } else {
      this.tell("There is none: the page Activity says why.");
    }
  }

  setOpacity(percent) {
    this.slider.value = percent;
    this.layer.style.opacity = percent / 100;
    sessionStorage.setItem(OPACITY_KEY, percent);
  }

  tell(text) {
    this.told.textContent = text;
  }

  refresh() {
    this.button.setAttribute("aria-pressed", String(this.isOn));
    this.slider.disabled = !this.isOn;
    this.layer.toggleAttribute("data-hidden", !this.url || !this.isOn);
  }
}
