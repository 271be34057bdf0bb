/**
 * Owns one TCP socket and stands between it and the broker.
 *
 * Guarantees: packets reach the broker whole, checked, and in order; no more PUBLISH packets are with the broker
 * than the windows allow (per client and in all); what cannot go on yet is held, and when enough is held the socket
 * is not read (INV-2: nothing is dropped because a buffer is full); PINGREQ is answered at once all the same;
 * a client that is silent for 1.5 times its keep-alive is closed, unless it is us who do not read.
 *
 * The broker alone would stop reading in a burst of held acks, PINGREQ included, and yet take any number of
 * packets that trickle in.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../contracts/ports/clock.js";
import type { ConnectionLimits } from "../limits.js";
import type { CloseReason, GatewayStats } from "../stats.js";
import { AckQueue } from "./ack-queue.js";
import type { Admission, Waiting } from "./admission.js";
import { Framer } from "./framing.js";
import { CONNECT, checkPacket, DISCONNECT, PINGREQ, PINGRESP_BYTES, PUBLISH, packetType } from "./packets.js";
import { Pipe } from "./pipe.js";

/** What the gates of one server share. */
export interface GateShared {
  limits: ConnectionLimits;
  clock: Clock;
  admission: Admission;
  stats: GatewayStats;
  /** Hands a connection to the broker; its CONNECT is in the pipe. */
  attach: (pipe: Pipe) => void;
  /** The socket is gone. */
  onClosed: (gate: Gate, reason: CloseReason | undefined) => void;
}

/** A held packet costs more than its bytes. */
const HELD_OVERHEAD_BYTES = 64;
/** Unsent PINGRESPs and whatever else, from which on a client that sends PINGREQs is not read. */
const MAX_UNANSWERED_BYTES = 64 * 1024;
/** Unsent bytes from which on a subscriber gets no more live messages, and from which on the broker has to wait. */
const LAGGING_BYTES = 1024 * 1024;
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/** How long the peer of a closed connection may take to close it too. */
export const LINGER_MS = 5_000;

type State = "handshake" | "connecting" | "open" | "closed";

export class Gate implements Waiting {
  readonly acks = new AckQueue();
  readonly #socket: Socket;
  readonly #shared: GateShared;
  readonly #framer: Framer;
  readonly #pipe: Pipe;
  #state: State = "handshake";
  #since: number;
  #lastSeen: number;
  #keepaliveMs = 0;
  /** What came behind the CONNECT and waits for the end of the handshake. */
  #early: Buffer | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Sizes of the PUBLISH packets in the broker's hands that have not asked for their ack yet, in order. */
  readonly #forwarded: number[] = [];
  #inFlight = 0;
  #brokerFull = false;
  /** The client sent DISCONNECT: nothing after it counts. */
  #saidGoodbye = false;
  /** The client sends no more: `half` when it may still want its acks. */
  #peerGone: "no" | "half" | "full" = "no";
  /** The broker was told so. */
  #ended = false;
  #outputBlocked = false;
  #stopped = false;
  #reading = true;
  #backPressured = false;
  #closeReason: CloseReason | undefined;
  /** Consecutive packets of one buffer, to go to the broker in one piece. */
  #run: Buffer | undefined;
  #runStart = 0;
  #runEnd = 0;

  constructor(socket: Socket, shared: GateShared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#framer = new Framer(shared.limits.maxConnectBytes);
    this.#pipe = new Pipe(this);
    this.#since = shared.clock.monotonicMs();
    this.#lastSeen = this.#since;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("end", () => this.#peerEnded("half"));
    socket.on("error", () => this.#peerEnded("full"));
    socket.on("close", () => {
      this.#peerEnded("full");
      if (this.#state === "closed") shared.onClosed(this, this.#closeReason);
    });
    socket.on("drain", () => {
      this.#outputBlocked = false;
      this.#updateReading();
    });
  }

  /** True when the socket is gone or going. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** PUBLISH packets admitted and not yet acked. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** The client's keep-alive as its CONNECT has it; the gate watches it at 1.5 times. */
  set keepaliveSeconds(seconds: number) {
    this.#keepaliveMs = seconds * 1_500;
  }

  /** The broker has accepted the client. */
  opened(): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    this.#framer.maxPacketBytes = this.#shared.limits.maxPacketBytes;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) this.#receive(early);
    this.#advance();
  }

  /**
   * The broker asks to hold the ack of the next PUBLISH.
   * @returns the size to {@link release} it with; undefined when the connection was closed and the packet abandoned
   *   while the broker still had it to read
   */
  take(): number | undefined {
    const sizeBytes = this.#forwarded.shift();
    if (sizeBytes === undefined && this.#state !== "closed") {
      throw new Error("the broker has a PUBLISH that did not come through the gate");
    }
    return sizeBytes;
  }

  /** The message is acked: its place in the windows is free. */
  release(sizeBytes: number): void {
    this.#inFlight--;
    this.#shared.admission.leave(sizeBytes);
    this.#advance();
  }

  /** Stops reading for good: the gateway is closing. */
  stopReading(): void {
    this.#stopped = true;
    this.#updateReading();
  }

  /** Resolves when what the broker has written is with the kernel. */
  flushed(): Promise<void> {
    const nothing = Buffer.alloc(0);
    return new Promise((resolve) => {
      if (!this.#pipe.writable || !this.#socket.writable) resolve();
      else this.#pipe.write(nothing, () => this.#socket.write(nothing, () => resolve()));
    });
  }

  /** Closes the connection of the gateway's own accord. */
  close(reason: CloseReason): void {
    if (this.#state === "closed") return;
    this.#closeReason = reason;
    this.#shared.stats.connectionsClosed[reason]++;
    this.#finish();
  }

  /** Ends the connection at once, whatever is still to be sent. */
  destroy(): void {
    this.#finish();
    this.#socket.destroy();
  }

  /** Called about once a second. */
  sweep(nowMs: number): void {
    const { connectTimeoutMs } = this.#shared.limits;
    if (this.#state === "closed") {
      if (nowMs - this.#since > LINGER_MS) this.destroy();
    } else if (this.#state !== "open") {
      if (nowMs - this.#since > connectTimeoutMs) this.close("connect_timeout");
    } else if (!this.#reading || this.#peerGone !== "no") {
      this.#lastSeen = nowMs;
    } else if (this.#keepaliveMs > 0 && nowMs - this.#lastSeen > this.#keepaliveMs) {
      this.close("keepalive"); // [MQTT-3.1.2-24]
    }
  }

  /** @see Waiting */
  roomAgain(): void {
    this.#advance();
  }

  /** @see Pipe */
  brokerWantsMore(): void {
    this.#brokerFull = false;
    this.#advance();
  }

  /** True when the client is so far behind that it should get no more live messages. */
  get lagging(): boolean {
    return this.#socket.writableLength > LAGGING_BYTES;
  }

  /**
   * The broker makes publishers wait for a subscriber whose write is not done, so a write is done at once unless very
   * much is unsent.
   * @see Pipe
   */
  toSocket(bytes: Buffer, done: () => void): void {
    if (!this.#socket.writable) done();
    else if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#socket.write(bytes, () => done());
    else {
      this.#socket.write(bytes);
      done();
    }
  }

  /** @see Pipe */
  brokerClosed(): void {
    this.#finish();
  }

  #receive(chunk: Buffer): void {
    this.#lastSeen = this.#shared.clock.monotonicMs();
    if (this.#state === "closed" || this.#saidGoodbye) return;
    const used = this.#framer.push(chunk, (buffer, start, end) => this.#packet(buffer, start, end));
    this.#flushRun();
    if (typeof used === "string") this.close(used);
    else if (this.#state === "connecting") this.#early = chunk.subarray(used);
    this.#updateReading();
  }

  #packet(buffer: Buffer, start: number, end: number): boolean {
    if (this.#state === "handshake") return this.#connect(buffer, start, end);
    if (this.#state !== "open" || this.#saidGoodbye) return false;
    const wrong = checkPacket(buffer, start, end);
    if (wrong !== undefined) {
      this.#flushRun();
      this.close(wrong);
      return false;
    }
    const type = packetType(buffer[start]!);
    if (type === PINGREQ) {
      this.#pong();
      return true;
    }
    this.#saidGoodbye = type === DISCONNECT;
    if (this.#held.length === 0 && this.#mayForward(type, end - start)) this.#forward(buffer, start, end);
    else this.#hold(buffer.subarray(start, end));
    return true;
  }

  /** The first packet must be CONNECT [MQTT-3.1.0-1]. What follows waits until the broker has accepted it. */
  #connect(buffer: Buffer, start: number, end: number): boolean {
    if (packetType(buffer[start]!) !== CONNECT) {
      this.close("not_connect");
      return false;
    }
    this.#state = "connecting";
    this.#shared.attach(this.#pipe);
    this.#pipe.push(buffer.subarray(start, end));
    return false;
  }

  #pong(): void {
    if (!this.#socket.writable) return;
    this.#socket.write(PINGRESP_BYTES);
    this.#outputBlocked = this.#socket.writableLength > MAX_UNANSWERED_BYTES;
  }

  /** Takes the places a packet needs; false leaves everything as it is. */
  #mayForward(type: number, sizeBytes: number): boolean {
    if (this.#brokerFull) return false;
    if (type !== PUBLISH) return true;
    if (this.#inFlight >= this.#shared.limits.maxInFlightPerClient) return false;
    if (!this.#shared.admission.tryEnter(sizeBytes)) {
      this.#shared.admission.wait(this);
      return false;
    }
    this.#inFlight++;
    this.#forwarded.push(sizeBytes);
    return true;
  }

  #forward(buffer: Buffer, start: number, end: number): void {
    if (this.#run !== buffer || this.#runEnd !== start) {
      this.#flushRun();
      this.#run = buffer;
      this.#runStart = start;
    }
    this.#runEnd = end;
  }

  #flushRun(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    if (!this.#pipe.push(run.subarray(this.#runStart, this.#runEnd))) this.#brokerFull = true;
  }

  #hold(packet: Buffer): void {
    this.#held.push(packet);
    this.#addHeld(packet.length + HELD_OVERHEAD_BYTES);
  }

  #addHeld(sizeBytes: number): void {
    this.#heldBytes += sizeBytes;
    this.#shared.admission.heldBytes += sizeBytes;
  }

  /** Sends on what may go now, and reads again if there is room for more. */
  #advance(): void {
    if (this.#state !== "open") return;
    let next = 0;
    for (; next < this.#held.length; next++) {
      const packet = this.#held[next]!;
      if (!this.#mayForward(packetType(packet[0]!), packet.length)) break;
      this.#addHeld(-(packet.length + HELD_OVERHEAD_BYTES));
      if (!this.#pipe.push(packet)) this.#brokerFull = true;
    }
    if (next > 0) this.#held.splice(0, next);
    this.#endIfDone();
    this.#updateReading();
  }

  #peerEnded(how: "half" | "full"): void {
    this.#peerGone = this.#peerGone === "full" ? "full" : how;
    if (this.#state === "handshake") this.#finish();
    // While connecting there may be more to take in: see `opened`.
    else if (this.#state === "open") this.#endIfDone();
  }

  /** The client sends no more: the broker learns it when it has all that was sent, and acks that can arrive are out. */
  #endIfDone(): void {
    if (this.#peerGone === "no" || this.#held.length > 0) return;
    if (this.#peerGone === "half" && this.#inFlight > 0) return;
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.push(null);
  }

  #updateReading(): void {
    const { maxHeldBytesPerClient, maxHeldBytes } = this.#shared.limits;
    const bound = this.#backPressured ? maxHeldBytesPerClient / 2 : maxHeldBytesPerClient;
    const full =
      this.#heldBytes > 0 && (this.#heldBytes > bound || this.#shared.admission.heldBytes > maxHeldBytes);
    const backPressured = full && this.#state === "open";
    if (backPressured !== this.#backPressured) {
      this.#backPressured = backPressured;
      this.#shared.admission.paused += backPressured ? 1 : -1;
    }
    const stopped = backPressured || this.#outputBlocked || this.#stopped || this.#state === "connecting";
    const read = this.#state === "closed" || !stopped;
    if (read === this.#reading) return;
    this.#reading = read;
    this.#lastSeen = this.#shared.clock.monotonicMs();
    if (read) this.#socket.resume();
    else this.#socket.pause();
  }

  #finish(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#since = this.#shared.clock.monotonicMs();
    this.#shared.admission.forget(this);
    this.#abandon();
    this.#updateReading();
    this.#pipe.destroy();
    // What still comes is read and thrown away: a reset would take the last acks with it.
    this.#socket.end();
    if (this.#socket.closed) this.#shared.onClosed(this, this.#closeReason);
  }

  /** PUBLISH packets that never asked for an ack: their sender has none either. */
  #abandon(): void {
    const held = this.#held.filter((packet) => packetType(packet[0]!) === PUBLISH).length;
    this.#shared.stats.abandoned += held + this.#forwarded.length;
    for (const sizeBytes of this.#forwarded.splice(0)) {
      this.#inFlight--;
      this.#shared.admission.leave(sizeBytes);
    }
    this.#held = [];
    this.#addHeld(-this.#heldBytes);
  }
}
