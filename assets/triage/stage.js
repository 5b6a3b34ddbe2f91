// The image at work: large, zoomed, made clearer, explained, compared with another.

import { addressOf, element, iconButton } from "../shared/dom.js";
import { Zoom } from "../shared/zoom.js";
import { HeatMap } from "../gallery/heat_map.js";

const WHOLE_AFTER_MS = 250; // whoever decides at once needs the preview alone
const CONTRAST = { min: 0.5, max: 3, step: 0.25 };
const CONTRAST_KEY = "lacquer.triage.contrast";

export class Stage {
  /** `onExplain` has a heat map computed; `host` is what fills the screen on demand. */
  constructor({ store, onExplain, host }) {
    this.store = store;
    this.host = host;
    this.heat = new HeatMap({ onExplain, isOn: false });
    this.lost = element("p", { class: "lq-lost", text: "This image's file cannot be shown: skip it, or flag it." });
    this.view = element("div", { class: "lq-view" });
    this.other = element("figure", { class: "lq-other", hidden: true });
    this.contrastSlider = element("input", {
      type: "range", class: "lq-size", ...CONTRAST, "aria-label": "Contrast", title: "Contrast ([ and ])",
      on: { input: () => this.setContrast(Number(this.contrastSlider.value)) },
    });
    this.invertButton = toggleButton("Invert", "I", () => this.invert());
    this.heatButton = toggleButton("Heat map", "H", () => this.toggleHeat());
    this.told = this.heat.told;
    this.tools = element("div", { class: "lq-tools", role: "toolbar", "aria-label": "The image" }, [
      iconButton("minus", "Farther (-)", () => this.closer(1 / 1.5), { class: "lq-round" }),
      iconButton("plus", "Closer (+)", () => this.closer(1.5), { class: "lq-round" }),
      iconButton("fit", "Fit (0)", () => this.fit(), { class: "lq-round" }),
      this.contrastSlider, this.invertButton, this.heatButton, this.told,
      iconButton("enlarge", "Whole screen (W)", () => this.fillScreen(), { class: "lq-round lq-last-tool" }),
    ]);
    this.node = element("div", { class: "lq-stage" }, [this.view, this.other, this.tools]);
    this.zoom = new Zoom(this.view, () => this.layers);
    this.setContrast(Number(sessionStorage.getItem(CONTRAST_KEY)) || 1);
  }

  get layers() {
    return [...this.view.children];
  }

  configure(data) {
    this.data = data;
    this.heatButton.hidden = !data.heat_url;
    this.heat.configure(data.heat_url);
  }

  /**
   * Shows an item's image as soon as it is decoded.
   * @return whether it could be shown; nothing where another was asked for meanwhile.
   */
  async show(item) {
    this.item = item;
    this.leave();
    if (!item) return null;
    const held = this.store.get(this.data.preview_url, item.image_id);
    const isThere = await held.ready;
    if (this.item !== item) return null;
    this.endComparison();
    this.isThere = isThere;
    if (isThere) this.place(held.image, item);
    else {
      this.store.forget(this.data.preview_url, item.image_id);
      this.view.replaceChildren(this.lost);
    }
    this.zoom.fit();
    if (isThere) this.timer = setTimeout(() => this.showWhole(item), WHOLE_AFTER_MS);
    return isThere;
  }

  place(image, item) {
    image.className = "lq-large";
    image.alt = item.title;
    image.draggable = false;
    this.heat.fit([image.naturalWidth, image.naturalHeight]);
    this.view.replaceChildren(image, this.heat.layer);
    this.explain();
  }

  /** The preview gives way to all the image's pixels. */
  async showWhole(item) {
    const image = new Image(); // not held in the store: it may be very large
    image.src = addressOf(this.data.image_url, item.image_id);
    const isThere = await image.decode().then(() => true, () => false);
    if (!isThere || this.item !== item) return;
    const before = this.view.firstChild;
    image.className = before.className;
    image.alt = before.alt;
    image.draggable = false;
    image.style.transform = before.style.transform;
    image.setAttribute("data-whole", "");
    before.replaceWith(image);
  }

  leave() {
    clearTimeout(this.timer);
    this.heat.leave();
  }

  // ---- clearer

  fit() {
    this.zoom.fit();
  }

  closer(factor) {
    this.zoom.zoomAt(0, 0, factor);
  }

  setContrast(value) {
    this.contrast = Math.min(CONTRAST.max, Math.max(CONTRAST.min, value));
    this.contrastSlider.value = this.contrast;
    sessionStorage.setItem(CONTRAST_KEY, this.contrast);
    this.filter();
  }

  addContrast(steps) {
    this.setContrast(this.contrast + steps * CONTRAST.step);
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.invertButton.setAttribute("aria-pressed", String(this.isInverted));
    this.filter();
  }

  filter() {
    this.node.style.setProperty("--lq-filter", `contrast(${this.contrast}) invert(${this.isInverted ? 1 : 0})`);
  }

  fillScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.host.requestFullscreen?.();
  }

  // ---- explained

  toggleHeat() {
    if (!this.data.heat_url || this.item?.is_blind) return;
    this.heat.toggle();
    this.explain();
  }

  /** What the model looked at would betray its answer where that is to be judged blind. */
  explain() {
    this.heatButton.setAttribute("aria-pressed", String(this.heat.isOn));
    this.heatButton.disabled = Boolean(this.item?.is_blind);
    if (this.item && !this.item.is_blind && this.heat.isOn && this.heat.id !== this.item.image_id) this.heat.show(this.item.image_id);
  }

  // ---- compared

  /** Shows another image beside; the same one again ends it. */
  async compare(image_id, caption) {
    if (this.compared === image_id) {
      this.endComparison();
      return;
    }
    this.compared = image_id;
    const { image, ready } = this.store.get(this.data.preview_url, image_id);
    if (!(await ready) || this.compared !== image_id) return;
    const shown = image.cloneNode();
    shown.className = "lq-large";
    shown.alt = caption;
    this.other.replaceChildren(shown, element("figcaption", { text: caption }),
      iconButton("close", "End the comparison (Esc)", () => this.endComparison(), { class: "lq-round lq-end" }));
    this.other.hidden = false;
    this.node.toggleAttribute("data-comparing", true);
    this.zoom.fit();
  }

  /** Whether there was one to end. */
  endComparison() {
    const wasThere = this.compared !== undefined;
    this.compared = undefined;
    this.other.hidden = true;
    this.node.toggleAttribute("data-comparing", false);
    return wasThere;
  }
}

function toggleButton(text, key, run) {
  const button = element("button", { type: "button", class: "lq-tool", "aria-pressed": "false", title: `${text} (${key})`, text });
  button.addEventListener("click", run);
  return button;
}
