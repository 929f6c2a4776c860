/**
 * The public API: a module each, under its name. `sandboxer/node` has the live layers, `sandboxer/testing` those for
 * tests.
 *
 * @example
 * import { Sandboxes } from "sandboxer"
 * const names = Effect.flatMap(Sandboxes.Sandboxes, ({ list }) =>
 *   Effect.map(list, (sandboxes) => sandboxes.map(({ name }) => name))
 * )
 */
export * as Artifacts from "./Artifacts.js"
export * as Doctor from "./Doctor.js"
export * as Artifact from "./domain/Artifact.js"
export * as Errors from "./domain/Errors.js"
export * as Failure from "./domain/Failure.js"
export * as Holder from "./domain/Holder.js"
export * as HostPath from "./domain/HostPath.js"
export * as Input from "./domain/Input.js"
export * as Note from "./domain/Note.js"
export * as Phase from "./domain/Phase.js"
export * as Plan from "./domain/Plan.js"
export * as Profile from "./domain/Profile.js"
export * as ProgressEvent from "./domain/ProgressEvent.js"
export * as Redactor from "./domain/Redactor.js"
export * as Sandbox from "./domain/Sandbox.js"
export * as Units from "./domain/Units.js"
export * as Extension from "./Extension.js"
export { vmPacker } from "./extensions/vm-packer/index.js"
export * as Holders from "./Holders.js"
export * as Host from "./Host.js"
export * as Jobs from "./Jobs.js"
export * as Kept from "./Kept.js"
export * as Packer from "./Packer.js"
export * as ProfileChecks from "./ProfileChecks.js"
export * as ProfileMode from "./ProfileMode.js"
export * as Profiles from "./Profiles.js"
export * as Provision from "./Provision.js"
export * as Recipe from "./Recipe.js"
export * as Reporter from "./Reporter.js"
export * as Sandboxes from "./Sandboxes.js"
export * as SandboxStore from "./SandboxStore.js"
export * as Secrets from "./Secrets.js"
export * as Settings from "./Settings.js"
export * as StateHub from "./StateHub.js"
export * as Steps from "./Steps.js"
export * as Supervision from "./Supervision.js"
export * as Supervisors from "./Supervisors.js"
export * as Verification from "./Verification.js"
export { version } from "./version.js"
