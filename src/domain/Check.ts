/** What was looked at on a machine, and what to do where it is not as it has to be. */

/**
 * `warning`: some builds do without it, or are slower; `missing`: needed, and not there or not usable. `hint` is what
 * to do about it, null where it is ok.
 * @category model
 */
export interface Check {
  readonly name: string
  readonly status: "ok" | "warning" | "missing"
  readonly detail: string
  readonly hint: string | null
}

/** How a check ends that is not ok. */
export type Otherwise = (name: string, detail: string, hint: string) => Check

export const ok = (name: string, detail: string): Check => ({ name, status: "ok", detail, hint: null })
export const warning: Otherwise = (name, detail, hint) => ({ name, status: "warning", detail, hint })
export const missing: Otherwise = (name, detail, hint) => ({ name, status: "missing", detail, hint })
