// Decisions on their way to the server: kept in the tab until they are acknowledged.
//
// The whole log is sent each time, so that no message can be lost between two of them. A reload
// finds it in the tab's storage and sends it again under the same name and numbers, by which the
// server knows what it has written already.

const KEPT = 20; // of the last decisions, which can be taken back

export class DecisionLog {
  /** `place` tells the logs of a tab apart. */
  constructor(place) {
    this.storageKey = `lacquer.label_review.${place}`;
    const kept = JSON.parse(sessionStorage.getItem(this.storageKey) ?? "null");
    this.review = kept?.review ?? newName();
    this.seq = kept?.seq ?? 0;
    this.entries = kept?.entries ?? []; // that the server has not written yet
    this.recent = kept?.recent ?? []; // {seq, item, kind, label, isSaved}
  }

  /** Adds a decision on an image. */
  add(item, kind, label) {
    this.seq += 1;
    this.entries.push({ seq: this.seq, id: item.id, kind, label, seen: item.given.text });
    this.recent = [...this.recent, { seq: this.seq, item, kind, label, isSaved: false }].slice(-KEPT);
    this.store();
  }

  /** Takes the last decision back and returns its image, or nothing where there is none. */
  undo() {
    const last = this.recent.pop();
    if (!last) return null;
    this.seq += 1;
    this.entries.push({ seq: this.seq, id: last.item.id, kind: "undo", of: last.seq });
    this.store();
    return last.item;
  }

  /** Drops what the server has written. */
  acknowledge({ review, seq }) {
    if (review !== this.review || !this.entries.some((entry) => entry.seq <= seq)) return;
    this.entries = this.entries.filter((entry) => entry.seq > seq);
    for (const each of this.recent) each.isSaved ||= each.seq <= seq;
    this.store();
  }

  /** The images whose last entry here decides on them, and does not take that back. */
  get decided() {
    const last = new Map(this.entries.map((entry) => [entry.id, entry.kind]));
    return new Set([...last].filter(([, kind]) => kind !== "undo").map(([id]) => id));
  }

  /** By how much the number of images looked at is ahead of the server's. */
  get ahead() {
    return this.entries.reduce((n, { kind }) => n + (kind === "undo" ? -1 : 1), 0);
  }

  get value() {
    return structuredClone({ review: this.review, entries: this.entries });
  }

  store() {
    const { review, seq, entries, recent } = this;
    sessionStorage.setItem(this.storageKey, JSON.stringify({ review, seq, entries, recent }));
  }
}

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
