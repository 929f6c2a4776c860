/** The hub's metrics, in Prometheus's format. */
import type { Size } from "../HubStore.js"

/** Labels have only these values: a client's data never gets into the text. */
const routes = [
  "POST /progress",
  "GET /notes",
  "GET /notes/stream",
  "GET /metrics",
  "GET /health",
  "GET /openapi.json",
  "GET /"
] as const
export type Route = (typeof routes)[number] | "other"

export const routeOf = (method: string, path: string): Route =>
  routes.find((route) => route === `${method} ${path}`) ?? "other"

/** Reasons for rejected notes, by HTTP status. */
const refusals: Readonly<Record<number, string>> = {
  400: "not-a-note",
  401: "unauthorized",
  403: "forbidden",
  413: "too-large",
  415: "not-json",
  429: "too-many-requests",
  503: "unavailable"
}

export interface Metrics {
  readonly took: (taken: number, doubles: number) => void
  readonly answered: (route: Route, status: number) => void
  readonly streamOpened: () => void
  readonly streamClosed: () => void
  readonly openStreams: () => number
  /** In the text format that Prometheus reads. */
  readonly text: (size: Size) => string
}

const family = (
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: Iterable<readonly [labels: string, value: number]>
) =>
  [
    `# HELP sandboxer_hub_${name} ${help}`,
    `# TYPE sandboxer_hub_${name} ${type}`,
    ...[...samples].map(([labels, value]) => `sandboxer_hub_${name}${labels} ${value}`)
  ].join("\n")

export const makeMetrics = (): Metrics => {
  const counts = { taken: 0, doubled: 0, streams: 0 }
  const refused = new Map(Object.values(refusals).map((reason) => [`{reason="${reason}"}`, 0]))
  const requests = new Map<string, number>()
  const increase = (counters: Map<string, number>, labels: string) =>
    void counters.set(labels, (counters.get(labels) ?? 0) + 1)
  return {
    took: (taken, doubles) => {
      counts.taken += taken
      counts.doubled += doubles
    },
    answered: (route, status) => {
      increase(requests, `{route="${route}",status="${status}"}`)
      const reason = route === "POST /progress" ? refusals[status] : undefined
      if (reason !== undefined) increase(refused, `{reason="${reason}"}`)
    },
    streamOpened: () => void counts.streams++,
    streamClosed: () => void counts.streams--,
    openStreams: () => counts.streams,
    text: ({ bytes, notes }) =>
      [
        family("notes_taken_total", "counter", "Notes that were new.", [["", counts.taken]]),
        family("notes_doubled_total", "counter", "Notes that were there already.", [["", counts.doubled]]),
        family("progress_refused_total", "counter", "Requests whose notes were not taken, by why.", refused),
        family("requests_total", "counter", "Requests that were answered.", requests),
        family("streams_open", "gauge", "Live streams that are open.", [["", counts.streams]]),
        family("notes", "gauge", "Notes that are kept.", [["", notes]]),
        family("database_bytes", "gauge", "Size of the database.", [["", bytes]]),
        ""
      ].join("\n")
  }
}
