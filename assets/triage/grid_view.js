// Alike images with one suggestion, given to all that stay ticked at once.

import { addressOf, badgeOf, element, icon, iconButton } from "../shared/dom.js";

const SIZE_KEY = "lacquer.triage.tile_px";
const SIZES = { min: 96, max: 320, start: 152 };
const THUMBNAIL_PX = 160; // above this a thumbnail is too coarse to judge

export class GridView {
  constructor(app) {
    this.app = app;
    this.items = [];
    this.ticked = new Set();
    this.leftOut = new Set(); // of a group that was confirmed: they are something else
    this.lead = element("div", { class: "lq-group-lead" });
    this.why = element("p", { class: "lq-why" });
    this.confirm = element("button", { type: "button", class: "lq-confirm", on: { click: () => this.press() } });
    this.slider = element("input", {
      type: "range", class: "lq-size", min: SIZES.min, max: SIZES.max, step: 8, "aria-label": "Size of the images",
      on: { input: () => this.resize(Number(this.slider.value)) },
    });
    this.grid = element("div", { class: "lq-tiles", role: "listbox", "aria-multiselectable": "true", "aria-label": "Alike images" });
    this.large = element("div", { class: "lq-enlarged", hidden: true, on: { click: () => this.endEnlarging() } });
    this.node = element("div", { class: "lq-group" }, [
      element("div", { class: "lq-group-head" }, [
        element("div", { class: "lq-group-text" }, [this.lead, this.why]), this.slider, this.confirm,
      ]),
      this.grid, this.large, element("div", { class: "lq-under" }, [element("span"), app.trail.last]),
      app.labelBar.classes, app.labelBar.actions,
    ]);
    this.resize(Number(sessionStorage.getItem(SIZE_KEY)) || SIZES.start);
  }

  destroy() {}

  configure(data) {
    this.data = data;
  }

  press() {
    this.confirm.blur();
    this.app.run("confirm");
  }

  get chosen() {
    return this.items.filter(({ id }) => this.ticked.has(id));
  }

  /** What was left out of a group is not asked about again as more of the same. */
  get suggested() {
    return this.isRest ? null : (this.items[0]?.suggested?.text ?? null);
  }

  get isRest() {
    return this.items.every(({ id }) => this.leftOut.has(id));
  }

  get canLabel() {
    return true;
  }

  get ids() {
    return this.items.map(({ id }) => id);
  }

  /** The group that comes next: one that was taken back, or the server's, when it has answered. */
  next(waiting, stay) {
    if (stay && this.items.length && !this.isLeft) return this.items;
    const returned = this.app.returned;
    if (returned.length) return returned;
    return this.app.isAnswered ? waiting : [];
  }

  holds(items) {
    return !this.isLeft && String(items.map(({ id }) => id)) === String(this.ids);
  }

  leaveItem() {
    this.isLeft = true;
    for (const id of this.ids) if (!this.ticked.has(id)) this.leftOut.add(id);
  }

  async show(items) {
    this.items = items;
    this.isLeft = false;
    this.ticked = new Set(this.ids.filter((id) => this.isRest || !this.leftOut.has(id)));
    this.endEnlarging();
    if (!items.length) return false;
    this.tiles = new Map(items.map((item) => [item.id, this.buildTile(item)]));
    const shown = [...this.tiles.values()];
    shown[0].tabIndex = 0;
    // Keys count when what they are about has been seen: the images that the screen has room for.
    const first = shown.slice(0, 12).map((tile) => tile.querySelector("img").decode().catch(() => {}));
    await Promise.race([Promise.all(first), new Promise((resolve) => setTimeout(resolve, 2000))]);
    if (this.items !== items) return false;
    this.grid.replaceChildren(...shown);
    this.node.parentElement.dataset.id = items[0].id;
    this.app.labelBar.show({ suggested: this.suggested ?? undefined });
    this.describe();
    return true;
  }

  buildTile(item) {
    const image = element("img", { alt: item.title, draggable: "false", src: this.addressOf(item) });
    const enlarge = iconButton("enlarge", "Enlarge (E)", (event) => {
      event.stopPropagation();
      this.enlarge(item);
    }, { class: "lq-round", tabindex: "-1" });
    return element("div", {
      class: "lq-pick", role: "option", tabindex: "-1", title: item.title, "aria-selected": "true", "data-id": item.id,
      on: { click: () => this.toggle(item.id) },
    }, [image, element("span", { class: "lq-check" }, [icon("check")]), enlarge]);
  }

  addressOf(item) {
    return addressOf(this.px > THUMBNAIL_PX ? this.data.preview_url : this.data.thumbnail_url, item.image_id);
  }

  resize(px) {
    this.px = px;
    this.slider.value = px;
    this.grid.style.setProperty("--lq-tile", `${px / 16}rem`);
    sessionStorage.setItem(SIZE_KEY, px);
    for (const item of this.items) {
      const image = this.tiles.get(item.id).querySelector("img");
      if (image.src !== this.addressOf(item)) image.src = this.addressOf(item);
    }
  }

  describe() {
    const n = this.ticked.size;
    const { suggested } = this;
    this.lead.replaceChildren(
      element("b", { text: this.isRest ? `${this.items.length} left out` : `${this.items.length} alike` }),
      ...(suggested ? [element("span", { text: "suggested" }), badgeOf({ ...this.items[0].suggested, text: this.app.nameOf(suggested) })] : []),
    );
    this.why.textContent = this.isRest
      ? "You left them out of their group: give them another label, or skip them."
      : "They look alike to the model. Leave out what is something else.";
    for (const [id, tile] of this.tiles) tile.setAttribute("aria-selected", String(this.ticked.has(id)));
    this.confirm.disabled = !n || !suggested;
    this.confirm.replaceChildren(
      element("span", { text: suggested ? `Confirm ${n} as ${this.app.nameOf(suggested)}` : `Choose a label for ${n}` }),
      element("kbd", { text: "Enter", "aria-hidden": "true" }),
    );
  }

  toggle(id) {
    if (!this.ticked.delete(id)) this.ticked.add(id);
    this.focusTile(id);
    this.describe();
  }

  focusTile(id) {
    for (const [other, tile] of this.tiles) tile.tabIndex = other === id ? 0 : -1;
    this.tiles.get(id).focus({ preventScroll: false });
  }

  get current() {
    return this.items.find(({ id }) => this.tiles.get(id).tabIndex === 0);
  }

  go(arrow) {
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[arrow];
    const at = this.items.indexOf(this.current);
    // The first arrow goes to the first image, which shows where the arrows are.
    const to = this.grid.contains(document.activeElement) ? this.items[at + step] : this.items[at];
    if (to) this.focusTile(to.id);
    if (to && !this.large.hidden) this.enlarge(to);
  }

  enlarge(item) {
    this.large.replaceChildren(element("img", { alt: item.title, src: addressOf(this.data.preview_url, item.image_id) }), element("p", { text: item.title }));
    this.large.hidden = false;
  }

  endEnlarging() {
    this.large.hidden = true;
  }

  look() {}

  prefetch() {}

  get commands() {
    return {
      arrow: ({ arrow }) => this.go(arrow),
      toggle: () => this.toggle(this.current.id),
      enlarge: () => (this.large.hidden ? this.enlarge(this.current) : this.endEnlarging()),
      escape: () => this.endEnlarging(),
    };
  }
}
