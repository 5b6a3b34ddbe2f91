// Decisions on their way to the server: kept in the tab until they are acknowledged.
//
// The whole log is sent each time, so that no message can be lost between two of them. A reload
// finds it in the tab's storage and sends it again under the same name and numbers, by which the
// server knows what it has written already.

const KEPT = 120; // images of the last actions, which can be taken back

const inUse = new Map(); // logs of this window: a component that is shown again goes on with its own

/** The log of a component; `place` tells the logs of a tab apart. */
export function openLog(component, place) {
  const key = `lacquer.${component}.${place}`;
  if (!inUse.has(key)) inUse.set(key, new DecisionLog(key));
  return inUse.get(key);
}

export class DecisionLog {
  constructor(storageKey) {
    this.storageKey = storageKey;
    const kept = JSON.parse(sessionStorage.getItem(storageKey) ?? "null");
    // A duplicated tab begins with a copy of this storage, while its first goes on: in one log, the
    // decisions of one would pass for those of the other. Only a page that was left hands its log on.
    const isHandedOn = kept?.isLeft ?? false;
    this.name = isHandedOn ? kept.name : newName();
    this.seq = isHandedOn ? kept.seq : 0;
    this.entries = isHandedOn ? kept.entries : []; // that the server has not written yet
    this.recent = isHandedOn ? kept.recent : []; // actions: {seq, seqs, items, kind, label, isSaved}
    this.older = isHandedOn ? kept.older : kept?.entries.length ? { log: kept.name, entries: kept.entries } : null;
    window.addEventListener("pagehide", () => this.store(true));
    window.addEventListener("pageshow", () => this.store());
    this.store();
  }

  /** Adds a decision on one image, or on several at once, which are taken back together. */
  add(items, kind, label, factsOf) {
    const seqs = items.map((item) => {
      this.seq += 1;
      this.entries.push({ seq: this.seq, id: item.id, kind, label, ...factsOf(item) });
      return this.seq;
    });
    this.recent.push({ seq: this.seq, seqs, items, kind, label, isSaved: false });
    const count = () => this.recent.reduce((n, action) => n + action.items.length, 0);
    while (this.recent.length > 1 && count() > KEPT) this.recent.shift();
    this.store();
  }

  /** Takes the last action back and returns its images, or nothing where there is none. */
  undo() {
    const last = this.recent.pop();
    if (!last) return null;
    for (const [place, of] of [...last.seqs.entries()].reverse()) {
      this.seq += 1;
      this.entries.push({ seq: this.seq, id: last.items[place].id, kind: "undo", of });
    }
    this.store();
    return last.items;
  }

  /** Asks the server to take back this person's last decision, which this tab does not know. */
  undoUnknown() {
    this.seq += 1;
    this.entries.push({ seq: this.seq, id: 0, kind: "undo", of: 0 });
    this.store();
    return this.seq;
  }

  /** Drops what the server has written. */
  acknowledge({ log, seq }) {
    if (this.older?.log === log) {
      this.older.entries = this.older.entries.filter((entry) => entry.seq > seq);
      if (!this.older.entries.length) this.older = null;
    } else if (log === this.name && this.entries.some((entry) => entry.seq <= seq)) {
      this.entries = this.entries.filter((entry) => entry.seq > seq);
      for (const each of this.recent) each.isSaved ||= each.seq <= seq;
    }
    this.store();
  }

  /** The images whose last entry here decides on them, and does not take that back. */
  get decided() {
    const last = new Map(this.unwritten.map((entry) => [entry.id, entry.kind]));
    return new Set([...last].filter(([, kind]) => kind !== "undo").map(([id]) => id));
  }

  /** By how much the number of images decided is ahead of the server's. */
  get ahead() {
    return this.unwritten.reduce((n, { kind }) => n + (kind === "undo" ? -1 : 1), 0);
  }

  /** What the server has not written yet. */
  get unwritten() {
    return [...(this.older?.entries ?? []), ...this.entries];
  }

  /** What is sent: what another page of this tab has left first. */
  get value() {
    return structuredClone(this.older ?? { log: this.name, entries: this.entries });
  }

  store(isLeft = false) {
    const { name, seq, entries, recent, older } = this;
    sessionStorage.setItem(this.storageKey, JSON.stringify({ name, seq, entries, recent, older, isLeft }));
  }
}

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
