/** The processes of this machine, from /proc. */
import { readdirSync, readFileSync } from "node:fs"

export interface ProcessInfo {
  readonly pid: number
  /** The first 15 bytes of its program's name. */
  readonly name: string
  readonly group: number
  /** Clock ticks since boot. With the pid it identifies a process, although pids are reused. */
  readonly startTime: number
  /** Whether it has ended and waits for its parent to reap it. */
  readonly zombie: boolean
}

/** A process; `undefined` if it does not exist or is not visible to us. */
export const processInfo = (pid: number): ProcessInfo | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name before the last ")" may contain blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return {
      pid,
      name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
      zombie: fields[0] === "Z" || fields[0] === "X",
      group: Number(fields[2]),
      startTime: Number(fields[19])
    }
  } catch {
    return undefined
  }
}

const environment = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1")
  } catch {
    return ""
  }
}

/**
 * Living processes (without zombies) with `name=value` in their environment, and all members of their process groups; also
 * members of groups that such a process led, given by their numbers.
 */
export const processesWith = (name: string, value: string, led?: number): ReadonlyArray<ProcessInfo> => {
  const entry = `\0${name}=${Buffer.from(value).toString("latin1")}\0`
  const living = readdirSync("/proc")
    .filter((entryName) => /^\d+$/.test(entryName))
    .flatMap((pid) => processInfo(Number(pid)) ?? [])
    .filter((info) => !info.zombie)
  const marked = living.filter((info) => `\0${environment(info.pid)}`.includes(entry))
  const groups = new Set(marked.map((info) => info.group))
  // A group leader without the variable belongs to someone else: the number was reused.
  if (led !== undefined && !living.some((info) => info.pid === led && !marked.includes(info))) groups.add(led)
  groups.delete(processInfo(process.pid)?.group ?? 0)
  return living.filter((info) => groups.has(info.group) || marked.includes(info))
}

/** The distinct values of a variable in the environments of living processes (without zombies). */
export const valuesOf = (name: string): ReadonlyArray<string> => {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))
  const living = pids.filter((pid) => processInfo(Number(pid))?.zombie === false)
  const values = living.flatMap((pid) =>
    environment(Number(pid))
      .split("\0")
      .filter((entry) => entry.startsWith(`${name}=`))
      .map((entry) => Buffer.from(entry.slice(name.length + 1), "latin1").toString())
  )
  return [...new Set(values)].sort()
}

/** The boot id of this machine; it changes with each boot. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()

/** Seconds since boot, including sleep. */
export const uptimeSeconds = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])
