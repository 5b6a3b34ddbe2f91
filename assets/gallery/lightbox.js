// One image large: preview first, then the whole; wheel or pinch zooms, dragging pans.

import { addressOf, badgeOf, element, fetchCard, iconButton, showRows, svg } from "../shared/dom.js";
import { Zoom } from "../shared/zoom.js";
import { HeatMap } from "./heat_map.js";

export class Lightbox {
  constructor({ onShow, onClose, onToggle, onFindSimilar, onExplain, isSelected }) {
    Object.assign(this, { onShow, onToggle, isSelected });
    this.items = [];
    this.at = -1;
    this.image = element("img", { class: "lq-large", alt: "", draggable: "false" });
    this.boxes = svg("svg", { class: "lq-large lq-boxes", preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
    this.heat = new HeatMap({ onExplain });
    this.stage = element("div", { class: "lq-large-stage" }, [this.image, this.heat.layer, this.boxes]);
    this.title = element("h2", { class: "lq-large-title" });
    this.badges = element("div", { class: "lq-badges" });
    this.remark = element("p", { class: "lq-remark" });
    this.rows = element("dl", { class: "lq-rows" });
    this.place = element("span", { class: "lq-place" });
    this.selectButton = element("button", { type: "button", class: "lq-button", on: { click: () => this.toggle() } });
    this.similarButton = element("button", {
      type: "button", class: "lq-button", text: "Find similar", on: { click: () => onFindSimilar(this.items[this.at]) },
    });
    this.boxesButton = element("button", { type: "button", class: "lq-button", text: "Boxes", on: { click: () => this.toggleBoxes() } });
    this.node = element("dialog", { class: "lq-lightbox", "aria-label": "Enlarged image" }, [
      this.stage,
      element("aside", { class: "lq-side" }, [
        element("div", { class: "lq-side-head" }, [
          iconButton("previous", "Previous (Left arrow)", () => this.go(-1), { class: "lq-round" }),
          this.place,
          iconButton("next", "Next (Right arrow)", () => this.go(1), { class: "lq-round" }),
          element("span", { class: "lq-spring" }),
          iconButton("close", "Close (Esc)", () => this.close(), { class: "lq-round" }),
        ]),
        this.title, this.badges, this.remark, this.heat.controls, this.rows,
        element("div", { class: "lq-side-actions" }, [this.selectButton, this.similarButton, this.boxesButton]),
        element("p", { class: "lq-hint", text: "Wheel zooms, dragging pans, double click fits." }),
      ]),
    ]);
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.node.addEventListener("close", () => {
      this.heat.leave();
      onClose(this.items[this.at]);
    });
    this.zoom = new Zoom(this.stage, () => [this.image, this.heat.layer, this.boxes]);
  }

  configure(data, items) {
    const shown = this.items[this.at]?.id;
    this.data = data;
    this.items = items;
    this.similarButton.hidden = !data.find_similar;
    this.selectButton.hidden = !data.selectable;
    this.heat.configure(data.heat_url);
    this.at = items.findIndex((item) => item.id === shown);
    if (this.node.open && this.at < 0) this.close();
    else if (this.node.open) this.describe();
  }

  open(at) {
    this.at = at;
    if (!this.node.open) this.node.showModal();
    this.show();
  }

  close() {
    if (this.node.open) this.node.close();
  }

  go(step) {
    const at = this.at + step;
    if (at < 0 || at >= this.items.length) return;
    this.at = at;
    this.show();
  }

  async show() {
    const item = this.items[this.at];
    this.describe();
    this.zoom.fit();
    this.rows.replaceChildren();
    this.draw({ boxes: [] });
    this.image.removeAttribute("data-full");
    this.image.src = addressOf(this.data.preview_url, item.id);
    this.image.dataset.id = item.id;
    this.onShow(item);
    this.heat.show(item.id);
    const isShown = () => this.items[this.at]?.id === item.id;
    fetchCard(this.data.card_url, item.id).then((card) => {
      if (!isShown()) return;
      showRows(this.rows, card.rows);
      this.draw(card);
    }, () => {}); // without its rows and boxes the image still shows
    this.prefetch(this.items[this.at + 1]);
    const full = new Image();
    full.src = addressOf(this.data.image_url, item.id);
    try {
      await full.decode();
    } catch {
      return; // the preview stays
    }
    if (!isShown()) return;
    this.image.src = full.src;
    this.image.setAttribute("data-full", "");
  }

  /** Lays the boxes over the image: both fill the stage alike, whatever the screen's shape. */
  draw({ size, boxes }) {
    this.boxesButton.hidden = boxes.length === 0;
    if (size) {
      this.boxes.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
      this.heat.fit(size);
    }
    this.boxes.replaceChildren(...boxes.map(({ label, x, y, width, height }) => {
      const title = svg("title");
      title.textContent = label;
      return svg("rect", { x, y, width, height }, [title]);
    }));
    this.showBoxes(true);
  }

  showBoxes(isShown) {
    this.boxes.toggleAttribute("data-hidden", !isShown);
    this.boxesButton.setAttribute("aria-pressed", String(isShown));
  }

  toggleBoxes() {
    this.showBoxes(this.boxes.hasAttribute("data-hidden"));
  }

  prefetch(item) {
    if (item) new Image().src = addressOf(this.data.preview_url, item.id);
  }

  describe() {
    const item = this.items[this.at];
    this.title.textContent = item.title;
    this.image.alt = item.title;
    this.badges.replaceChildren(...item.badges.map(badgeOf));
    this.remark.textContent = item.remark;
    this.place.textContent = `${this.at + 1} / ${this.items.length}`;
    const selected = this.isSelected(item);
    this.selectButton.textContent = selected ? "Selected" : "Select";
    this.selectButton.setAttribute("aria-pressed", String(selected));
  }

  toggle() {
    this.onToggle(this.items[this.at]);
    this.describe();
  }

  onKey(event) {
    const run = {
      ArrowLeft: () => this.go(-1),
      ArrowRight: () => this.go(1),
      ArrowUp: () => this.go(-1),
      ArrowDown: () => this.go(1),
      Escape: () => this.close(),
      "+": () => this.zoom.zoomAt(0, 0, 1.5),
      "-": () => this.zoom.zoomAt(0, 0, 1 / 1.5),
      0: () => this.zoom.fit(),
      b: () => this.toggleBoxes(),
      h: () => this.heat.toggle(),
      x: () => this.data.selectable && this.toggle(),
    }[event.key];
    if (event.key !== "Tab") event.stopPropagation(); // no shortcut of the page behind
    if (!run || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    run();
  }
}
