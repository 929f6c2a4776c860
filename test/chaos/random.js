/** Pseudo-random numbers: the seed of a failed round repeats it. */

/** @param {number} seed */
export const randomFrom = (seed) => {
  let state = seed >>> 0
  /** Between 0 and 1. */
  const next = () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    /**
     * @param {number} low
     * @param {number} high
     */
    between: (low, high) => low + next() * (high - low),
    /**
     * @template A
     * @param {ReadonlyArray<A>} values
     * @returns {A}
     */
    pick: (values) => /** @type {A} */ (values[Math.floor(next() * values.length)])
  }
}

/** @typedef {ReturnType<typeof randomFrom>} Random */
