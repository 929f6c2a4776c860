/** The profiles that there are. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NotFound, UsageError } from "../domain/Errors.js"
import type { Profile } from "../domain/Profile.js"

/** A profile that was found, or the reason why it cannot be used. */
export type ProfileEntry =
  | { readonly _tag: "Usable"; readonly id: string; readonly profile: Profile }
  | { readonly _tag: "Broken"; readonly id: string; readonly file: string; readonly error: UsageError }

export interface ProfilesShape {
  /** All profiles by id; a broken one breaks no other. */
  readonly list: Effect.Effect<ReadonlyArray<ProfileEntry>>
  /** A profile with what it extends merged in. */
  readonly get: (id: string) => Effect.Effect<Profile, NotFound | UsageError>
  /** Reads a profile's file, found in no folder. */
  readonly read: (file: string) => Effect.Effect<Profile, NotFound | UsageError>
}

/** @category services */
export class Profiles extends Context.Tag("sandboxer/Profiles")<Profiles, ProfilesShape>() {}
