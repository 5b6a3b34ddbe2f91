// Triage: images decided by key, one after the other or a group at once, shown without the server.
//
// A leased batch is here; a key decides on what is painted and shows the next at once. Decisions go
// to the server as a log (see shared/decision_log.js) and count as saved when it says so.

import { element, loadStyle } from "../shared/dom.js";
import { openLog } from "../shared/decision_log.js";
import { FocusView } from "./focus_view.js";
import { GridView } from "./grid_view.js";
import { HeadBar } from "./head_bar.js";
import { ImageStore } from "./image_store.js";
import { commandOf } from "./keys.js";
import { LabelBar } from "./label_bar.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { Sheet } from "./sheet.js";
import { Trail } from "./trail.js";

const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock"]);
const LONGEST_COMMENT = 500;

/** Mounts or updates the component in its element; called again at every change of `data` or theme. */
export function mount(component) {
  const { parentElement, data } = component;
  if (parentElement.triage && parentElement.triage.place !== data.place) { // another person has come
    parentElement.triage.destroy();
    parentElement.triage = null;
  }
  parentElement.triage ??= new Triage(parentElement, data);
  const triage = parentElement.triage;
  triage.update(component);
  return () => {
    // Also called for a run that a newer one has overtaken: then the element is still on the page.
    if (!parentElement.isConnected) triage.destroy();
  };
}

class Triage {
  constructor(parent, data) {
    this.place = data.place;
    this.log = openLog("triage", data.place);
    this.returned = []; // items taken back, which come first
    this.asked = []; // numbers of the entries that take back what only the server knows
    this.store = new ImageStore();
    this.abort = new AbortController();
    this.outbox = new Outbox(this.log, (value) => this.component.setStateValue("log", value));
    this.build(parent, data.view);
    this.presence = new Presence({
      ids: () => [...new Set([...this.data.items.map(({ id }) => id), ...this.view.ids])],
      send: (value) => this.component.setStateValue("alive", value),
      onChange: () => this.showPause(),
      signal: this.abort.signal,
    });
    window.addEventListener("keydown", (event) => this.onKey(event), { capture: true, signal: this.abort.signal });
  }

  build(parent, view) {
    this.root = element("div", { class: "lq lq-triage", "data-view": view });
    this.head = new HeadBar();
    this.sheet = new Sheet();
    this.trail = new Trail({ onUndo: () => this.run("undo") });
    this.labelBar = new LabelBar({
      run: (name, label) => this.run(name, { label }), onLook: (label) => this.item && this.view.look(label),
    });
    this.view = view === "grid" ? new GridView(this) : new FocusView(this);
    this.idle = element("div", { class: "lq-idle", role: "status", hidden: true });
    this.pause = element("button", { type: "button", class: "lq-pause", hidden: true, on: { click: () => this.presence.comeBack() } });
    this.body = element("div", { class: "lq-body" }, [this.view.node]);
    this.frame = element("div", { class: "lq-frame" }, [this.body, this.idle, this.pause, this.sheet.node]);
    this.root.append(this.head.node, this.frame, this.trail.list);
    this.root.style.visibility = "hidden"; // until the style sheet applies
    parent.append(this.root);
  }

  destroy() {
    this.abort.abort();
    this.outbox.stop();
    this.view.destroy();
    this.root.remove();
  }

  // ---- what Python gives

  update(component) {
    this.component = component;
    const { data } = component;
    const before = this.data;
    if (before && JSON.stringify(before) === JSON.stringify(data)) return;
    this.data = data;
    loadStyle(data.style_url).finally(() => {
      this.root.style.visibility = "visible";
    });
    this.outbox.answered(data.acked);
    if (!before) this.outbox.push(); // what a reload left behind
    if (data.acked.log === this.log.name) this.takeTold(data.told);
    if (JSON.stringify(before?.labels) !== JSON.stringify(data.labels)) this.labelBar.configure(data.labels);
    this.view.configure(data);
    const isFresh = this.presence.answered(data.alive_at) || (before && before.order !== data.order);
    if (isFresh) {
      this.returned = [];
      this.view.leaveItem();
    }
    this.showNext({ stay: true });
  }

  takeTold(told) {
    this.trail.take(told);
    for (const answer of told.filter(({ seq }) => this.asked.includes(seq))) {
      this.asked = this.asked.filter((seq) => seq !== answer.seq);
      const item = this.data.items.find(({ id }) => id === answer.id);
      if (item) this.returned.unshift(item);
      this.view.leaveItem();
    }
  }

  nameOf(label) {
    return this.data.labels.find(({ text }) => text === label)?.name ?? label;
  }

  /** Whether the items that are here are what the server gives after all that was decided. */
  get isAnswered() {
    return this.log.unwritten.length === 0;
  }

  /** The items that are still to be decided, those taken back first. */
  get waiting() {
    const seen = this.log.decided;
    return [...this.returned, ...this.data.items].filter(({ id }) => !seen.has(id) && seen.add(id));
  }

  // ---- showing

  /** Shows what waits first; with `stay` what is on the screen, while it waits too. */
  showNext({ stay = false } = {}) {
    const waiting = this.waiting;
    const next = this.view.next(waiting, stay);
    this.head.show({ progress: this.data.progress, log: this.log, hasActed: this.log.seq > 0 });
    this.trail.show(this.log.recent, { thumbnail_url: this.data.thumbnail_url, nameOf: (label) => this.nameOf(label) });
    if (!next.length || !this.view.holds(next)) this.showItems(next);
    this.view.prefetch(waiting);
  }

  /** Keys count from the moment the image is on the screen, and not for the one before. */
  async showItems(items) {
    const turn = (this.turn = {});
    this.item = items[0];
    this.becomePainted(false);
    this.body.hidden = !items.length;
    this.showIdle(items);
    const isThere = await this.view.show(items);
    if (!isThere || this.turn !== turn) return;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    if (this.turn !== turn || this.asked.length) return;
    this.paintedAt = performance.now();
    this.becomePainted(true);
  }

  becomePainted(isPainted) {
    this.isPainted = isPainted;
    this.root.toggleAttribute("data-painted", isPainted);
  }

  showIdle(items) {
    this.idle.hidden = items.length > 0;
    const { title, text } = this.isAnswered ? this.data.idle : { title: "Fetching the next images…", text: "" };
    this.idle.replaceChildren(element("h3", { text: title }), element("p", { text }));
  }

  showPause() {
    this.pause.hidden = this.presence.isHere;
    const isAway = this.presence.state === "away";
    this.pause.replaceChildren(
      element("b", { text: isAway ? "Paused" : "Welcome back" }),
      element("span", { text: isAway ? "Press any key to go on. Others may take these images meanwhile." : "Fetching images…" }),
    );
  }

  // ---- deciding

  decide(kind, label = null, comment = "") {
    const items = this.view.chosen;
    if (!this.isPainted || !items.length || (kind === "label" && !this.view.canLabel)) return;
    const seconds = (performance.now() - this.paintedAt) / 1000;
    const each = Math.round((1000 * seconds) / items.length) / 1000;
    this.log.add(items, kind, label, ({ seen }) => ({ seen, seconds: each, comment }));
    const left = new Set(this.view.ids);
    this.returned = this.returned.filter(({ id }) => !left.has(id));
    this.head.note(items.length, seconds);
    this.view.leaveItem();
    this.outbox.push();
    this.showNext();
  }

  /** Takes the last action back: its images come again, also those that only the server knows. */
  undo() {
    const items = this.log.undo();
    if (items) this.returned = [...items, ...this.returned.filter((other) => !items.some(({ id }) => id === other.id))];
    else this.asked.push(this.log.undoUnknown());
    this.outbox.push();
    if (items) this.view.leaveItem();
    else this.becomePainted(false); // until it is known which image comes
    this.showNext({ stay: !items });
  }

  get commands() {
    return {
      confirm: () => this.view.suggested && this.decide("label", this.view.suggested),
      label: ({ label }) => this.decide("label", label),
      skip: () => this.decide("skip"),
      undo: () => this.undo(),
      flag: () => this.askComment(),
      new: () => this.askType(),
      list: () => this.askLabel(),
      help: () => this.sheet.tellKeys(this.data.view),
      ...this.view.commands,
    };
  }

  run(name, command = {}) {
    if (this.presence.isHere) this.commands[name]?.(command);
  }

  askType() {
    if (!this.isPainted || !this.view.canLabel) return;
    this.sheet.ask({
      title: "A new type of defect", placeholder: "Its name", button: "Give it", limit: 80, check: whatIsWrong,
      onGive: (text) => this.decide("label", this.data.labels.find(({ name }) => name === text)?.text ?? text),
    });
  }

  askLabel() {
    if (!this.isPainted || !this.view.canLabel) return;
    this.sheet.choose({ title: "Labels", labels: this.data.labels, onGive: (text) => this.decide("label", text) });
  }

  askComment() {
    if (!this.isPainted) return;
    this.sheet.ask({
      title: "Flag it", placeholder: "What is the matter with it?", button: "Flag", limit: LONGEST_COMMENT,
      check: (text) => (text ? null : "Say in a few words why, for whoever looks into it."),
      onGive: (text) => this.decide("flag", null, text),
    });
  }

  // ---- what the server is asked

  explain(id) {
    this.component.setTriggerValue("explain", { id, label: "" });
  }

  openMap(id) {
    this.component.setTriggerValue("open_map", id);
  }

  // ---- keys

  onKey(event) {
    if (this.root.style.visibility === "hidden" || MODIFIERS.has(event.key)) return;
    if (this.sheet.node.contains(event.target)) return;
    const swallow = (run) => {
      event.preventDefault();
      event.stopPropagation(); // r and c are Streamlit's own
      run();
    };
    if (this.sheet.isOpen) swallow(() => this.sheet.close());
    else if (!this.presence.isHere) swallow(() => this.presence.comeBack());
    else {
      const command = commandOf(event, this.data.labels);
      const run = command && this.commands[command.name];
      if (run) swallow(() => run(command));
    }
  }
}

function whatIsWrong(label) {
  if (!label) return "It needs a name.";
  return /[/\\]/.test(label) || /^\.+$/.test(label) ? "A label must be able to name a folder: no slashes." : null;
}
