/** Checks of a machine, and what to do if one does not pass. */

/**
 * The result of a check. `warning`: some builds fail without it, or take longer. `missing`: every build needs it, and it
 * is not there or not usable. `hint` says what to do about it; it is null if the check passed.
 * @category model
 */
export interface Check {
  readonly name: string
  readonly status: "ok" | "warning" | "missing"
  readonly detail: string
  readonly hint: string | null
}

/** Makes the result of a check that did not pass. */
export type Otherwise = (name: string, detail: string, hint: string) => Check

export const ok = (name: string, detail: string): Check => ({ name, status: "ok", detail, hint: null })
export const warning: Otherwise = (name, detail, hint) => ({ name, status: "warning", detail, hint })
export const missing: Otherwise = (name, detail, hint) => ({ name, status: "missing", detail, hint })
