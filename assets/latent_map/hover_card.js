// The card beside a point: its image at once, what is known of it, a sharper image on dwelling.

import { addressOf, element, fetchCard, showRows } from "../shared/dom.js";
import { swatch } from "./symbols.js";

const DWELL_MS = 125;
const GAP = 18; // px between the point and the card
const PREFETCHED = 256;

export class HoverCard {
  constructor() {
    this.image = element("img", { class: "lq-card-image", alt: "", draggable: "false", fetchpriority: "high" });
    this.image.addEventListener("load", () => {
      this.image.dataset.shown = this.image.dataset.id;
    });
    this.category = element("div", { class: "lq-card-category" });
    this.name = element("div", { class: "lq-card-title" });
    this.rows = element("dl", { class: "lq-rows" });
    this.node = element("div", { class: "lq-card", popover: "manual", role: "status" }, [
      element("div", { class: "lq-card-frame" }, [this.image]),
      this.name,
      this.category,
      this.rows,
    ]);
    this.id = null;
    this.prefetched = new Map();
  }

  /** Shows image `id` beside the place (x, y) of the viewport; `group` is its category or null. */
  show(id, x, y, group, { thumbnail_url, preview_url, card_url }) {
    if (id !== this.id) {
      this.id = id;
      clearTimeout(this.timer);
      delete this.image.dataset.shown;
      this.image.dataset.id = id;
      this.image.src = addressOf(thumbnail_url, id);
      this.name.textContent = `Image ${id}`;
      this.category.replaceChildren(
        ...(group ? [swatch(group.symbol, group.color), element("span", { text: group.name })] : []),
      );
      this.rows.replaceChildren();
      setTimeout(() => this.describe(id, card_url, x, y)); // the image is asked for first
      this.timer = setTimeout(() => this.sharpen(id, addressOf(preview_url, id)), DWELL_MS);
    }
    if (!this.node.matches(":popover-open")) this.node.showPopover();
    this.place(x, y);
  }

  async describe(id, template, x, y) {
    if (id !== this.id) return;
    const card = await fetchCard(template, id).catch(() => null);
    if (id !== this.id || card === null) return; // without its rows the card still shows the image
    this.name.textContent = card.title;
    showRows(this.rows, card.rows);
    this.place(x, y);
  }

  async sharpen(id, address) {
    const preview = new Image();
    preview.src = address;
    try {
      await preview.decode();
    } catch {
      return; // the thumbnail stays
    }
    if (id === this.id) this.image.src = address;
  }

  /** Beside the point, on the side that has room; never outside the viewport. */
  place(x, y) {
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const right = x + GAP + width <= innerWidth;
    const left = right ? x + GAP : x - GAP - width;
    const top = y - height / 3;
    this.node.style.left = `${clamp(left, 8, innerWidth - width - 8)}px`;
    this.node.style.top = `${clamp(top, 8, innerHeight - height - 8)}px`;
  }

  hide() {
    if (this.id === null) return;
    this.id = null;
    clearTimeout(this.timer);
    if (this.node.matches(":popover-open")) this.node.hidePopover();
  }

  /** Fetches the thumbnails of the points around, so that the next hover has its image at once. */
  prefetch(ids, template) {
    for (const id of ids) {
      const address = addressOf(template, id);
      if (this.prefetched.has(address)) continue;
      const image = new Image();
      image.fetchPriority = "low"; // never before the image under the pointer
      image.src = address;
      this.prefetched.set(address, image);
      if (this.prefetched.size > PREFETCHED) this.prefetched.delete(this.prefetched.keys().next().value);
    }
  }
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
