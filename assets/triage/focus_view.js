// One image after the other: the image large, and beside it all that helps to judge it.

import { addressOf, badgeOf, element } from "../shared/dom.js";
import { warm } from "./image_store.js";
import { MiniMap } from "./mini_map.js";
import { Stage } from "./stage.js";

const PREFETCHED = 6; // images ahead
const EXAMPLES = 6;

export class FocusView {
  /** `app` runs the commands, and knows the data, the log and the names of labels. */
  constructor(app) {
    this.app = app;
    this.stage = new Stage({ store: app.store, host: app.root, onExplain: (id) => app.explain(id) });
    this.map = new MiniMap({ onOpen: (id) => app.openMap(id) });
    this.name = element("span", { class: "lq-name" });
    this.verdict = element("span", { class: "lq-verdict" });
    this.confirm = element("button", { type: "button", class: "lq-confirm", on: { click: () => this.press() } }, [
      element("span", { class: "lq-confirm-word", text: "Suggested" }), this.verdict, element("kbd", { text: "Enter", "aria-hidden": "true" }),
    ]);
    this.why = element("p", { class: "lq-why" });
    this.near = element("div", { class: "lq-row" });
    this.nearBox = section("Nearest labelled images", [this.near], "C compares");
    this.book = element("div", { class: "lq-row" });
    this.bookTitle = element("span");
    this.bookBox = element("section", { class: "lq-part lq-book" }, [element("h4", { class: "lq-heading" }, [this.bookTitle]), this.book]);
    this.panel = element("div", { class: "lq-panel" }, [
      this.confirm, this.why, app.labelBar.classes, this.nearBox,
      element("div", { class: "lq-pair" }, [this.bookBox, section("On the map", [this.map.node])]),
    ]);
    this.node = element("div", { class: "lq-focus" }, [
      element("figure", { class: "lq-figure" }, [
        this.stage.node, element("figcaption", { class: "lq-under" }, [this.name, app.trail.last]),
      ]),
      this.panel, app.labelBar.actions,
    ]);
  }

  destroy() {
    this.stage.leave();
    this.map.destroy();
  }

  configure(data) {
    this.data = data;
    this.stage.configure(data);
    this.map.configure(data.map);
    this.map.node.parentElement.hidden = !data.map;
  }

  press() {
    this.confirm.blur();
    this.app.run("confirm");
  }

  /** What can be decided on now, and what each command is about. */
  get chosen() {
    return this.item ? [this.item] : [];
  }

  get suggested() {
    return this.item?.suggested?.text ?? null;
  }

  get canLabel() {
    return this.stage.isThere;
  }

  get ids() {
    return this.item ? [this.item.id] : [];
  }

  /** The item that comes next; with `stay` the one on the screen, whatever the server says. */
  next(waiting, stay) {
    if (stay && this.item && !this.app.log.decided.has(this.item.id) && !this.isLeft) return [this.item];
    return waiting.slice(0, 1);
  }

  holds([item]) {
    return this.item?.id === item?.id && this.item?.opinion === item?.opinion && !this.isLeft;
  }

  /** After a decision its image counts for nothing more. */
  leaveItem() {
    this.isLeft = true;
  }

  /** Shows an item; true when it is painted and keys may count for it. */
  async show([item]) {
    this.item = item;
    this.isLeft = false;
    if (!item) {
      this.stage.show(null);
      return false;
    }
    if ((await this.stage.show(item)) === null) return false;
    this.fill(item);
    return true;
  }

  fill(item) {
    this.node.parentElement.dataset.id = item.id;
    this.name.textContent = item.title;
    this.name.title = item.title;
    this.fillSuggestion(item);
    this.why.textContent = item.why;
    this.nearBox.hidden = !item.nearest.length;
    this.near.replaceChildren(...item.nearest.map((each) => this.tile(each.id, this.app.nameOf(each.text), each.color)));
    this.map.show(item.image_id);
    this.look(null);
  }

  fillSuggestion({ suggested, is_blind, top }) {
    this.confirm.disabled = !suggested;
    this.confirm.firstChild.textContent = suggested ? "Suggested" : is_blind ? "Judge it yourself" : "No suggestion";
    this.verdict.replaceChildren(suggested
      ? badgeOf({ text: breakable(this.app.nameOf(suggested.text)), color: suggested.color })
      : element("span", { text: "Choose a label" }));
    this.app.labelBar.show({ suggested: suggested?.text, top });
  }

  tile(id, name, color) {
    const picture = element("button", {
      type: "button", class: "lq-tile", title: name ? `Compare with this ${name}` : "Compare", on: { click: () => this.stage.compare(id, name) },
    }, [element("img", { alt: "", src: addressOf(this.data.thumbnail_url, id), draggable: "false" })]);
    if (color) picture.append(badgeOf({ text: name, color }));
    return picture;
  }

  /** The label book, for the label under the pointer or the one that is suggested. */
  look(label) {
    const shown = label ?? this.suggested;
    const examples = (this.data.examples[shown] ?? []).filter((id) => id !== this.item?.image_id).slice(0, EXAMPLES);
    this.bookBox.hidden = !examples.length;
    if (this.booked === `${shown}:${examples}`) return;
    this.booked = `${shown}:${examples}`;
    this.bookTitle.textContent = shown ? `Examples: ${this.app.nameOf(shown)}` : "";
    this.book.replaceChildren(...examples.map((id) => this.tile(id, this.app.nameOf(shown))));
  }

  /** The images beside, one after the other. */
  compareNext() {
    const near = this.item?.nearest ?? [];
    const at = near.findIndex(({ id }) => id === this.stage.compared) + 1;
    if (at < near.length) this.stage.compare(near[at].id, this.app.nameOf(near[at].text));
    else this.stage.endComparison();
  }

  prefetch(waiting) {
    for (const item of waiting.slice(0, PREFETCHED)) {
      this.app.store.get(this.data.preview_url, item.image_id);
      for (const { id } of item.nearest) warm(this.data.thumbnail_url, id);
    }
    const labels = [...this.data.labels.filter(({ key }) => key).map(({ text }) => text), this.suggested];
    for (const label of labels) for (const id of this.data.examples[label] ?? []) warm(this.data.thumbnail_url, id);
  }

  /** Commands that only this view has. */
  get commands() {
    const { stage } = this;
    return {
      heat: () => stage.toggleHeat(),
      invert: () => stage.invert(),
      dimmer: () => stage.addContrast(-1),
      brighter: () => stage.addContrast(1),
      closer: () => stage.closer(1.5),
      farther: () => stage.closer(1 / 1.5),
      fit: () => stage.fit(),
      compare: () => this.compareNext(),
      whole: () => stage.fillScreen(),
      escape: () => stage.endComparison() || stage.fit(),
    };
  }
}

/** A long name breaks where its words do. */
function breakable(name) {
  return name.replace(/[_-]/g, "$&\u200b");
}

function section(title, children, hint = "") {
  return element("section", { class: "lq-part" }, [
    element("h4", { class: "lq-heading" }, [element("span", { text: title }), element("i", { text: hint })]), ...children,
  ]);
}
