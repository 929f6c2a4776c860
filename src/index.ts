/**
 * The public API: one namespace for each module. `sandboxer/node` has the live layers, `sandboxer/testing` layers for tests.
 *
 * @example
 * import { Sandboxes } from "sandboxer"
 * const names = Effect.flatMap(Sandboxes.Sandboxes, ({ list }) =>
 *   Effect.map(list, (sandboxes) => sandboxes.map(({ name }) => name))
 * )
 */

// --- Provision from your own program: docs/embedding.md ---

export * as Doctor from "./doctor/Doctor.js"
export * as Check from "./domain/Check.js"
export * as Errors from "./domain/Errors.js"
export * as Event from "./domain/events/Event.js"
export * as Failure from "./domain/Failure.js"
export * as Note from "./domain/Note.js"
export * as Plan from "./domain/Plan.js"
export * as Profile from "./domain/Profile.js"
export * as Receipt from "./domain/Receipt.js"
export * as Sandbox from "./domain/Sandbox.js"
export { version } from "./domain/version.js"
export * as Delivery from "./hub/client/Delivery.js"
export * as StateHub from "./hub/client/StateHub.js"
export * as HubServer from "./hub/server/HubServer.js"
export * as Packer from "./packer/Packer.js"
export * as Profiles from "./profiles/Profiles.js"
export * as Sandboxes from "./sandboxes/Sandboxes.js"
export * as Settings from "./settings/Settings.js"
export { StoreError } from "./store/SandboxStore.js"

// --- Write an extension: docs/extension-sdk.md ---

export * as Artifacts from "./artifacts/Artifacts.js"
export * as Artifact from "./domain/Artifact.js"
export * as HostPath from "./domain/HostPath.js"
export * as Input from "./domain/Input.js"
export * as Phase from "./domain/Phase.js"
export * as Placement from "./domain/Placement.js"
export { vmPacker } from "./extensions/vm-packer/index.js"
export * as Host from "./hosts/Host.js"
export * as Jobs from "./hosts/jobs/Jobs.js"
export * as Extension from "./recipe/Extension.js"
export * as Provision from "./recipe/Provision.js"
export * as Recipe from "./recipe/Recipe.js"
export * as Reporter from "./recipe/Reporter.js"
export { retainOnFailure } from "./recipe/RetainOnFailure.js"
export { runJob } from "./recipe/RunJob.js"
export * as Steps from "./recipe/Steps.js"
