/**
 * Time limits of tests, which grow with the load: what is ample on a quiet machine would fail a test on a busy one without
 * anything being wrong. A limit that is too long costs time only where a test fails anyway.
 */
import { availableParallelism, loadavg } from "node:os"
import { setTimeout } from "node:timers/promises"

/** For a machine that is slow for other reasons than its load. */
const atLeast = Number(process.env.TEST_PATIENCE ?? 1)

/**
 * What a limit for a quiet machine is now, in milliseconds.
 * @param {number} milliseconds
 */
export const timeLimit = (milliseconds) => {
  const [lastMinute = 0] = loadavg()
  return Math.round(milliseconds * Math.max(atLeast, 1 + lastMinute / availableParallelism()))
}

/**
 * Waits until `look` finds something, and gives that.
 * @template A
 * @param {string} what
 * @param {() => A | undefined | false | Promise<A | undefined | false>} look
 * @param {number} milliseconds on a quiet machine
 * @returns {Promise<A>}
 */
export const waitFor = async (what, look, milliseconds = 30_000) => {
  const start = performance.now()
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    const waited = performance.now() - start
    // Asked each time: the load may have grown since.
    if (waited > timeLimit(milliseconds)) {
      throw new Error(`waited ${Math.round(waited / 1000)} s in vain for ${what}`)
    }
    await setTimeout(20)
  }
}

/**
 * The shortest of up to three tries, of which the first one below the limit is the last: a delay that the program makes
 * is in each of them, one that comes from the load is not.
 * @param {number} limit in milliseconds
 * @param {() => Promise<number>} run gives how long it took, in milliseconds
 */
export const shortest = async (limit, run) => {
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 3 && least >= limit; tries++) least = Math.min(least, await run())
  return least
}
