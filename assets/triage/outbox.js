// Sends a log to the server, one message at a time.
//
// Each message makes the page's script run again, and a run that the next message overtakes answers
// nothing: at eight keys a second no answer would come. So a message waits until the one before has
// been answered; what has no answer for a while is sent again.

const REPEAT_MS = 3000;

export class Outbox {
  constructor(log, send) {
    this.log = log;
    this.send = send;
    this.isUnderWay = false;
  }

  /** The log has grown: it is sent now, or as soon as the message before is answered. */
  push() {
    if (!this.isUnderWay && this.log.unwritten.length) this.post();
  }

  /** The server has told what it has written. */
  answered(acked) {
    const isAnswer = this.isUnderWay && acked.log === this.sent.log && acked.seq >= this.sent.seq;
    this.log.acknowledge(acked);
    if (!isAnswer) return;
    this.stop();
    this.push();
  }

  post() {
    const value = this.log.value;
    this.isUnderWay = true;
    this.sent = { log: value.log, seq: value.entries.at(-1).seq };
    this.send({ ...value, sent: Date.now() }); // the same value twice would be no change
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.repeat(), REPEAT_MS);
  }

  repeat() {
    this.isUnderWay = false;
    this.push();
  }

  stop() {
    clearTimeout(this.timer);
    this.isUnderWay = false;
  }
}
