// The gallery: one page of images to look at, select and enlarge.

import { addressOf, badgeOf, element, formatCount, icon, iconButton, loadStyle } from "../shared/dom.js";
import { Lightbox } from "./lightbox.js";

const SEND_AFTER_MS = 250; // one rerun for a run of clicks
const SIZE_KEY = "lacquer.gallery.tile_px";
const SIZES = { min: 88, max: 280, start: 136 };

/** Mounts or updates the gallery in its element; called again at every change of `data` or theme. */
export function mount(component) {
  const { parentElement } = component;
  parentElement.gallery ??= new Gallery(parentElement);
  const gallery = parentElement.gallery;
  gallery.update(component);
  return () => {
    // Also called for a run that a newer one has overtaken: then the element is still on the page.
    if (!parentElement.isConnected) gallery.destroy();
  };
}

class Gallery {
  constructor(parent) {
    this.selected = new Set();
    this.tiles = new Map();
    this.items = [];
    this.sent = { selection: [] };
    this.timers = {};
    this.lightbox = new Lightbox({
      onShow: (item) => this.onShown(item),
      onClose: (item) => this.onClosed(item),
      onToggle: (item) => this.toggle(item.id),
      onFindSimilar: (item) => this.findSimilar(item.id),
      onExplain: (id) => this.setStateValue("explain", { seq: Date.now(), id }),
      isSelected: (item) => this.selected.has(item.id),
    });
    this.build(parent);
  }

  build(parent) {
    this.status = element("span", { class: "lq-status", role: "status" });
    this.chip = element("div", { class: "lq-chip", hidden: true }, [
      this.status,
      iconButton("close", "Clear the selection (Esc)", () => this.select([]), { class: "lq-clear" }),
    ]);
    this.total = element("div", { class: "lq-total" });
    this.slider = element("input", {
      type: "range", class: "lq-size", min: SIZES.min, max: SIZES.max, step: 8, "aria-label": "Size of the images",
      on: { input: () => this.resize(Number(this.slider.value)) },
    });
    this.grid = element("div", {
      class: "lq-grid", role: "listbox", "aria-multiselectable": "true", "aria-label": "Images",
      on: { keydown: (event) => this.onKey(event), focusin: (event) => this.onFocus(event) },
    });
    this.empty = element("div", { class: "lq-empty", hidden: true, text: "No images here." });
    this.root = element("div", { class: "lq lq-gallery" }, [
      element("div", { class: "lq-bar" }, [this.total, this.chip, this.slider]),
      this.grid, this.empty, this.lightbox.node,
    ]);
    this.root.style.visibility = "hidden"; // until the style sheet applies
    parent.append(this.root);
    this.resize(Number(sessionStorage.getItem(SIZE_KEY)) || SIZES.start);
  }

  destroy() {
    Object.values(this.timers).forEach(clearTimeout);
    this.lightbox.close();
    this.root.remove();
  }

  update({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    if (this.data && JSON.stringify(this.data) === JSON.stringify(data)) return;
    this.data = data;
    loadStyle(data.style_url).finally(() => {
      this.root.style.visibility = "visible";
    });
    const samePage = String(this.items.map((item) => item.id)) === String(data.items.map((item) => item.id));
    this.items = data.items;
    this.lightbox.configure(data, this.items);
    if (!samePage) this.turnPage();
    for (const item of this.items) this.fillTile(this.tiles.get(item.id), item);
    this.empty.hidden = this.items.length > 0;
    this.total.textContent = `${formatCount(this.items.length)} ${this.items.length === 1 ? "image" : "images"}`;
    this.showSelection();
  }

  /** New images: tiles of those that stay are kept, the selection starts anew. */
  turnPage() {
    const before = this.tiles;
    this.tiles = new Map(this.items.map((item) => [item.id, before.get(item.id) ?? this.buildTile(item)]));
    this.grid.replaceChildren(...this.tiles.values());
    this.selected.clear();
    this.send("selection", [], 0); // else images that come back would be picked there, unseen here
    this.anchor = null;
    this.focusable(this.items[0]?.id);
  }

  // ---- tiles

  buildTile({ id }) {
    const image = element("img", {
      class: "lq-thumb", alt: "", loading: "lazy", decoding: "async", draggable: "false",
      src: addressOf(this.data.thumbnail_url, id),
    });
    image.addEventListener("load", () => image.setAttribute("data-shown", ""));
    image.addEventListener("error", () => image.setAttribute("data-missing", ""));
    const quiet = (run) => (event) => {
      event.stopPropagation();
      run();
    };
    const actions = element("div", { class: "lq-actions" }, [
      ...(this.data.find_similar
        ? [iconButton("similar", "Find similar (S)", quiet(() => this.findSimilar(id)), { tabindex: "-1", "data-act": "similar" })]
        : []),
      iconButton("enlarge", "Enlarge (Enter)", quiet(() => this.open(id)), { tabindex: "-1", "data-act": "enlarge" }),
    ]);
    actions.addEventListener("dblclick", (event) => event.stopPropagation());
    return element("div", {
      class: "lq-tile", role: "option", tabindex: "-1", "data-id": id,
      on: {
        click: (event) => this.onClick(event, id),
        dblclick: () => this.open(id),
      },
    }, [
      element("div", { class: "lq-frame" }, [
        image,
        element("span", { class: "lq-check" }, [icon("check")]),
        element("span", { class: "lq-flag", title: "Flagged" }, [icon("flag")]),
        actions,
      ]),
      element("div", { class: "lq-caption" }),
      element("div", { class: "lq-badges" }),
      element("div", { class: "lq-remark" }),
    ]);
  }

  fillTile(tile, { title, badges, remark, flagged }) {
    tile.setAttribute("aria-label", [title, ...badges.map((badge) => badge.text), remark, ...(flagged ? ["flagged"] : [])].filter(Boolean).join(", "));
    tile.title = title;
    tile.toggleAttribute("data-flagged", flagged);
    tile.querySelector(".lq-caption").textContent = title;
    tile.querySelector(".lq-badges").replaceChildren(...badges.map(badgeOf));
    tile.querySelector(".lq-remark").textContent = remark;
  }

  resize(px) {
    this.slider.value = px;
    this.grid.style.setProperty("--lq-tile", `${px / 16}rem`);
    sessionStorage.setItem(SIZE_KEY, px);
  }

  // ---- selection

  onClick(event, id) {
    this.grid.querySelector(`[data-id="${id}"]`).focus({ preventScroll: true });
    if (!this.data.selectable) this.open(id);
    else if (event.shiftKey && this.anchor !== null) this.select([...this.selected, ...this.between(this.anchor, id)]);
    else this.toggle(id);
  }

  toggle(id) {
    if (!this.data.selectable) return;
    this.anchor = id;
    this.select(this.selected.has(id) ? [...this.selected].filter((other) => other !== id) : [...this.selected, id]);
  }

  between(a, b) {
    const ids = this.items.map((item) => item.id);
    const [first, last] = [ids.indexOf(a), ids.indexOf(b)].sort((x, y) => x - y);
    return ids.slice(first, last + 1);
  }

  select(ids) {
    this.selected = new Set(ids);
    this.showSelection();
    const chosen = this.items.map((item) => item.id).filter((id) => this.selected.has(id));
    this.send("selection", chosen, SEND_AFTER_MS);
  }

  showSelection() {
    for (const [id, tile] of this.tiles) tile.setAttribute("aria-selected", String(this.selected.has(id)));
    this.chip.hidden = this.selected.size === 0;
    this.status.textContent = `${formatCount(this.selected.size)} selected`;
  }

  /** Sends a state value after a pause, and only where it has changed. */
  send(name, value, after_ms) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(() => {
      if (JSON.stringify(this.sent[name] ?? null) === JSON.stringify(value)) return;
      this.sent[name] = value;
      this.setStateValue(name, value);
    }, after_ms);
  }

  findSimilar(id) {
    this.setStateValue("similar", { seq: Date.now(), id });
    this.lightbox.close();
  }

  // ---- lightbox

  open(id) {
    this.lightbox.open(this.items.findIndex((item) => item.id === id));
  }

  onShown(item) {
    this.focusable(item.id);
    this.send("opened", item.id, 400);
  }

  onClosed(item) {
    this.send("opened", null, 400);
    this.tiles.get(item?.id)?.focus();
  }

  // ---- keys and focus

  /** One tile is in the tab order, the one last used. */
  focusable(id) {
    this.tiles.get(this.current)?.setAttribute("tabindex", "-1");
    this.current = id;
    this.tiles.get(id)?.setAttribute("tabindex", "0");
  }

  onFocus(event) {
    const tile = event.target.closest(".lq-tile");
    if (tile) this.focusable(Number(tile.dataset.id));
  }

  onKey(event) {
    const ids = this.items.map((item) => item.id);
    const at = ids.indexOf(this.current);
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const go = (step) => this.moveTo(ids[Math.max(0, Math.min(ids.length - 1, at + step))], event.shiftKey);
    const withControl = event.ctrlKey || event.metaKey;
    const run = withControl
      ? { a: () => this.data.selectable && this.select(ids) }[event.key]
      : {
        ArrowLeft: () => go(-1),
        ArrowRight: () => go(1),
        ArrowUp: () => at >= columns && go(-columns),
        ArrowDown: () => at + columns < ids.length && go(columns),
        Home: () => go(-at),
        End: () => go(ids.length),
        Enter: () => this.open(this.current),
        " ": () => this.toggle(this.current),
        Escape: () => this.select([]),
        s: () => this.data.find_similar && this.findSimilar(this.current),
      }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  }

  moveTo(id, extend) {
    if (extend && this.data.selectable) {
      this.anchor ??= this.current;
      this.select([...this.selected, ...this.between(this.anchor, id)]);
    }
    this.tiles.get(id)?.focus();
  }
}
