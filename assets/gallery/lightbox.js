// One image large: preview first, then the whole; wheel or pinch zooms, dragging pans.

import { addressOf, badgeOf, element, fetchCard, iconButton, showRows, svg } from "../shared/dom.js";
import { HeatMap } from "./heat_map.js";

const MAX_ZOOM = 32;

export class Lightbox {
  constructor({ onShow, onClose, onToggle, onFindSimilar, onExplain, isSelected }) {
    Object.assign(this, { onShow, onToggle, isSelected });
    this.items = [];
    this.at = -1;
    this.pointers = new Map();
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
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    this.stage.addEventListener("pointermove", (event) => this.onPointerMove(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    this.stage.addEventListener("dblclick", () => this.fit());
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
    this.fit();
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
      "+": () => this.zoomAt(0, 0, 1.5),
      "-": () => this.zoomAt(0, 0, 1 / 1.5),
      0: () => this.fit(),
      b: () => this.toggleBoxes(),
      h: () => this.heat.toggle(),
      x: () => this.data.selectable && this.toggle(),
    }[event.key];
    if (event.key !== "Tab") event.stopPropagation(); // no shortcut of the page behind
    if (!run || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    run();
  }

  // ---- zoom and pan: the image moved by (x, y) px from the centre, then scaled

  fit() {
    this.view = { x: 0, y: 0, zoom: 1 };
    this.transform();
  }

  zoomAt(px, py, factor) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.view.zoom * factor));
    const by = zoom / this.view.zoom;
    this.view = { zoom, x: px - (px - this.view.x) * by, y: py - (py - this.view.y) * by };
    if (zoom === 1) this.view = { x: 0, y: 0, zoom };
    this.transform();
  }

  transform() {
    const { x, y, zoom } = this.view;
    for (const layer of [this.image, this.heat.layer, this.boxes]) layer.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    this.stage.toggleAttribute("data-zoomed", zoom > 1);
  }

  fromCentre({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return [clientX - left - width / 2, clientY - top - height / 2];
  }

  onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.zoomAt(...this.fromCentre(event), Math.exp(-event.deltaY * lines * 0.002));
  }

  onPointerDown(event) {
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.fromCentre(event));
  }

  onPointerMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.fromCentre(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const spread = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      this.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, spread(now) / Math.max(1, spread(before)));
    } else if (this.view.zoom > 1) {
      this.view.x += now[0] - before[0];
      this.view.y += now[1] - before[1];
      this.transform();
    }
  }
}
