// Label review: one doubtful image after the other, judged by key, shown without the server.
//
// A batch of images is here; a key decides on the one that is painted and shows the next at once.
// Decisions go to the server as a log (see shared/decision_log.js) and count as saved when it says so.

import { addressOf, badgeOf, element, formatCount, loadStyle } from "../shared/dom.js";
import { openLog } from "../shared/decision_log.js";
import { isSomebodyElses } from "../shared/keys.js";

const PREFETCHED = 6; // images ahead
const RECENT = 8; // decisions that stay in sight

/** Mounts or updates the review in its element; called again at every change of `data` or theme. */
export function mount(component) {
  const { parentElement } = component;
  parentElement.labelReview ??= new LabelReview(parentElement, component.data);
  const review = parentElement.labelReview;
  review.update(component);
  return () => {
    // Also called for a run that a newer one has overtaken: then the element is still on the page.
    if (!parentElement.isConnected) review.destroy();
  };
}

class LabelReview {
  constructor(parent, data) {
    this.log = openLog("label_review", data.place);
    this.returned = []; // images taken back, which come first
    this.abort = new AbortController();
    this.build(parent);
    window.addEventListener("keydown", (event) => this.onKey(event), { capture: true, signal: this.abort.signal });
  }

  build(parent) {
    this.count = element("span", { class: "lq-count" });
    this.meter = element("progress", { class: "lq-meter", "aria-label": "Looked at" });
    this.state = element("span", { class: "lq-state", role: "status" });
    this.stage = element("div", { class: "lq-stage" });
    this.name = element("div", { class: "lq-name" });
    this.given = this.buildSide("Labelled", "lq-given");
    this.suggested = this.buildSide("More likely", "lq-suggested");
    this.classes = element("div", { class: "lq-classes", role: "group", "aria-label": "Another label" });
    this.done = element("p", { class: "lq-done", hidden: true });
    this.body = element("div", { class: "lq-body" }, [
      element("figure", { class: "lq-figure" }, [this.stage, this.name]),
      element("div", { class: "lq-panel" }, [
        this.suggested.node,
        this.given.node,
        element("div", { class: "lq-choices" }, [
          this.key("S", "Skip", () => this.decide("skip")),
          this.key("⌫", "Undo", () => this.undo()),
        ]),
        element("div", { class: "lq-heading", text: "Another label" }),
        this.classes,
      ]),
    ]);
    this.trail = element("ol", { class: "lq-trail", "aria-label": "Last decisions" });
    this.root = element("div", { class: "lq lq-review" }, [
      element("div", { class: "lq-bar" }, [this.count, this.meter, this.state]),
      this.body, this.done, this.trail,
    ]);
    this.root.style.visibility = "hidden"; // until the style sheet applies
    parent.append(this.root);
  }

  /** One of the two labels in question: a button that chooses it, and images that bear it. */
  buildSide(heading, name) {
    const badge = element("span");
    const like = element("div", { class: "lq-like" });
    const [letter, verb, kind] = name === "lq-given" ? ["K", "Keep", "keep"] : ["A", "Accept", "accept"];
    const score = element("span", { class: "lq-score" });
    const node = element("section", { class: `lq-side ${name}` }, [
      element("div", { class: "lq-side-head" }, [
        element("span", { class: "lq-heading", text: heading }), badge, score,
        this.key(letter, verb, () => this.decide(kind)),
      ]),
      like,
    ]);
    return { node, badge, like, score };
  }

  key(letter, text, run) {
    const children = letter ? [element("kbd", { text: letter }), element("span", { text })] : [element("span", { text })];
    const button = element("button", { type: "button", class: "lq-key" }, children);
    button.addEventListener("click", () => {
      button.blur(); // else the space bar would press it again
      run();
    });
    return button;
  }

  destroy() {
    this.abort.abort();
    this.root.remove();
  }

  // ---- what Python gives

  update({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    const before = this.data;
    if (before && JSON.stringify(before) === JSON.stringify(data)) return;
    this.data = data;
    loadStyle(data.style_url).finally(() => {
      this.root.style.visibility = "visible";
    });
    const wasLeftBehind = !before || this.log.older; // by a reload
    this.log.acknowledge(data.acked);
    if (wasLeftBehind && this.log.unwritten.length) this.send();
    if (JSON.stringify(before?.labels) !== JSON.stringify(data.labels)) this.showLabels();
    this.showNext({ stay: true });
  }

  /** The images that are still to be judged, those taken back first. */
  get waiting() {
    const seen = this.log.decided;
    return [...this.returned, ...this.data.items].filter(({ id }) => !seen.has(id) && seen.add(id));
  }

  // ---- showing

  /** Shows the first image that waits; with `stay` the one on the screen, while it waits too. */
  showNext({ stay = false } = {}) {
    const waiting = this.waiting;
    const item = (stay && waiting.find(({ id }) => id === this.item?.id)) || waiting[0];
    this.showProgress(item);
    this.showTrail();
    if (item?.id !== this.item?.id || !item) this.showItem(item);
    for (const next of waiting.slice(0, PREFETCHED)) this.prefetch(next);
  }

  /** Keys count from the moment the image is on the screen, and not for the one before. */
  async showItem(item) {
    this.item = item;
    this.isPainted = false;
    this.root.toggleAttribute("data-painted", false);
    this.body.hidden = !item;
    if (!item) return;
    const image = element("img", { class: "lq-subject", alt: item.title, draggable: "false", src: addressOf(this.data.preview_url, item.id) });
    const isThere = await image.decode().then(() => true, () => false);
    if (this.item !== item) return;
    this.isThere = isThere;
    this.stage.replaceChildren(isThere ? image : element("p", { class: "lq-lost", text: "This image's file cannot be shown: skip it." }));
    this.name.textContent = item.title;
    this.name.title = item.title;
    this.fill(this.suggested, item.suggested, item.like_suggested, "No image near it bears this label.");
    this.fill(this.given, item.given, item.like_given, "None of its nearest images bears this label.");
    this.suggested.score.textContent = `doubt ${item.score.toFixed(2)}`;
    this.root.dataset.id = item.id;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    if (this.item !== item) return;
    this.isPainted = true;
    this.root.toggleAttribute("data-painted", true);
  }

  fill(side, { text, color }, like, none) {
    side.badge.replaceChildren(badgeOf({ text, color }));
    side.like.replaceChildren(...like.map((id) =>
      element("img", { alt: "", src: addressOf(this.data.thumbnail_url, id), draggable: "false" })));
    if (!like.length) side.like.append(element("p", { class: "lq-none", text: none }));
  }

  prefetch(item) {
    if (item.isFetched) return;
    item.isFetched = true;
    const fetchImage = (template, id) => {
      new Image().src = addressOf(template, id);
    };
    fetchImage(this.data.preview_url, item.id);
    for (const id of [...item.like_given, ...item.like_suggested]) fetchImage(this.data.thumbnail_url, id);
  }

  showLabels() {
    this.classes.replaceChildren(...this.data.labels.map(({ text, color, key }) => {
      const button = this.key(key, text, () => this.decide("label", text));
      button.style.setProperty("--lq-mark", color);
      return button;
    }));
  }

  showProgress(item) {
    const { n_looked, n_total } = this.data;
    const looked = n_looked + this.log.ahead;
    this.count.textContent = `${formatCount(looked)} of ${formatCount(n_total)} looked at`;
    this.meter.max = Math.max(1, n_total);
    this.meter.value = looked;
    const unsaved = this.log.unwritten.length;
    this.state.textContent = unsaved ? `saving ${formatCount(unsaved)}…` : this.log.seq ? "all saved" : "";
    this.state.toggleAttribute("data-unsaved", unsaved > 0);
    this.done.hidden = Boolean(item);
    this.done.textContent = looked < n_total ? "Fetching the next images…" : "All of them have been looked at.";
  }

  showTrail() {
    this.trail.replaceChildren(...this.log.recent.slice(-RECENT).reverse().map(({ items: [item], kind, label, isSaved }) =>
      element("li", { "data-saved": isSaved }, [
        element("img", { alt: "", src: addressOf(this.data.thumbnail_url, item.id) }),
        element("span", { text: kind === "skip" ? "skipped" : label }),
        element("i", { text: isSaved ? "saved" : "…" }),
      ])));
  }

  // ---- deciding

  decide(kind, label) {
    const item = this.item;
    if (!item || !this.isPainted || (!this.isThere && kind !== "skip")) return;
    const chosen = { accept: item.suggested.text, keep: item.given.text, skip: null, label }[kind];
    this.log.add([item], kind, chosen, () => ({ seen: item.given.text }));
    this.returned = this.returned.filter(({ id }) => id !== item.id);
    this.send();
    this.showNext();
  }

  /** Takes the last decision back: its image comes again. */
  undo() {
    const items = this.log.undo();
    if (!items) return;
    this.returned.unshift(...items);
    this.send();
    this.showNext();
  }

  send() {
    this.setStateValue("log", this.log.value);
  }

  // ---- keys

  onKey(event) {
    if (event.repeat || event.altKey || isSomebodyElses(event)) return;
    const letter = event.key.toLowerCase();
    const withControl = event.ctrlKey || event.metaKey;
    const label = this.data.labels.find(({ key }) => key === letter);
    const run = withControl
      ? { z: () => this.undo() }[letter]
      : {
        a: () => this.decide("accept"),
        enter: () => this.decide("accept"),
        k: () => this.decide("keep"),
        s: () => this.decide("skip"),
        backspace: () => this.undo(),
      }[letter] ?? (label && (() => this.decide("label", label.text)));
    if (!run) return;
    event.preventDefault();
    event.stopPropagation(); // r and c are Streamlit's own
    run();
  }
}
