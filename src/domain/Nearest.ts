/** The Levenshtein distance. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The candidate that is most similar to `given`, if one is similar at all. */
export const nearest = (given: string, candidates: Iterable<string>): string | undefined => {
  const ranked = [...candidates]
    .map((candidate) => ({
      candidate,
      far:
        candidate.startsWith(given) || candidate.endsWith(`.${given}`)
          ? 0
          : distance(given.toLowerCase(), candidate.toLowerCase())
    }))
    .sort((a, b) => a.far - b.far)
  const best = ranked[0]
  // Fewer changes than letters: any two letters are two changes away from any other two.
  const farthest = Math.min(given.length - 1, Math.max(2, Math.floor(given.length / 3)))
  return best !== undefined && best.far <= farthest ? best.candidate : undefined
}

/** A hint that names the most similar candidate, or `fallback` if none is similar. */
export const didYouMean = (given: string, candidates: Iterable<string>, fallback: string): string => {
  const best = nearest(given, candidates)
  return best === undefined ? fallback : `did you mean ${best}?`
}
