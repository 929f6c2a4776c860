/** What is asked of the manager: to create a sandbox, to try one again. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { UsageError } from "../domain/Errors.js"
import type { InputLocations, InputValues } from "../domain/Input.js"
import type { Profile } from "../domain/Profile.js"

/** What is asked for. `environment` is where `env:NAME` and inputs with `env` are read from. */
export interface CreateRequest {
  /** Its id, or the profile itself. */
  readonly profile: string | Profile
  /** Strings, numbers, booleans, lists and maps by name. A secret is a `Redacted`, or a text with its source. */
  readonly inputs: InputValues
  /** Where in documents inputs were given: their relative paths are relative to the document, and errors name the place. */
  readonly inputLocations?: InputLocations
  /** The mode of the profile's extension, by default the profile's; the same as an input called `mode`. */
  readonly mode?: string
  readonly name?: string
  readonly ttlSeconds?: number
  readonly timeoutSeconds?: number
  /** How long it may wait for its turn; 10 minutes where it is left out. */
  readonly lockTimeoutSeconds?: number
  /** What a State Hub files the sandbox's notes under; by default what SANDBOXER_WORKSTREAM and SANDBOXER_TASK, or the profile, say. */
  readonly workstream?: string
  readonly task?: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What relative paths of given inputs are relative to, but for those of a document. */
  readonly workingDirectory: string
  /** Asks a person for a required secret that was not given; where it is left out, such an input is missing. */
  readonly askSecret?: AskSecret
  /** Whether this program may end before the provision does; else it carries a quick one through itself. */
  readonly detach?: boolean
}

/** Gives what a person typed for a secret input. */
export type AskSecret = (
  name: string,
  description: string | undefined
) => Effect.Effect<Redacted.Redacted, UsageError>

/** Where secrets are read from, and who is asked for those that were typed. */
export type RetryRequest = Pick<CreateRequest, "environment" | "askSecret" | "detach">
