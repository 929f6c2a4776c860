import type { Note } from "./Note.js"

/** A note that waits for delivery. Positions grow in the order in which notes were written. */
export interface WaitingNote {
  readonly position: number
  readonly note: Note
}

/** A note that the hub rejected: it is kept, and does not block others. */
export interface RefusedNote {
  readonly note: Note
  /** How often it was sent. */
  readonly attempts: number
  readonly reason: string
}

/** The result of the last delivery, shared by all processes. Times are in epoch milliseconds. */
export interface Delivering {
  /** Consecutive deliveries that failed. */
  readonly failures: number
  /** No process delivers earlier, unless a user asks for it; null if nothing delays the next delivery. */
  readonly nextTryAt: number | null
  /** Whether a person has to fix something first: the address or the token is wrong. */
  readonly paused: boolean
  /** The hub of that delivery, if it has a name: the other fields say nothing about another hub. */
  readonly target: string | null
  readonly answer: string | null
  readonly answeredAt: number | null
}

export const neverDelivered: Delivering = {
  failures: 0,
  nextTryAt: null,
  paused: false,
  target: null,
  answer: null,
  answeredAt: null
}

/** The result of sending notes, by their positions. */
export interface Settlement {
  readonly delivered: ReadonlyArray<number>
  readonly refused: { readonly position: number; readonly reason: string } | undefined
  /** Notes that have to be sent again. */
  readonly again: ReadonlyArray<number>
  readonly delivering: Delivering
}

/** The numbers of `hub status`. */
export interface OutboxStatus {
  readonly waiting: number
  readonly delivered: number
  readonly refused: number
  readonly delivering: Delivering
}
