/** A checkout to run the commands of documents in, as they stand there: built, and far from any network. */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { type Output, run } from "../e2e/harness.js"
import { type Fence, root } from "../support/documents.js"

interface Package {
  readonly files?: ReadonlyArray<string>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}
export const packageOf = (folder: string): Package =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package

export interface Checkout {
  /** The checkout is in it, and what its commands make beside it. */
  readonly folder: string
  readonly home: string
  /**
   * Makes the folder NAME beside the checkout, with all that a registry would give to the example of that name.
   * sandboxer is not among it.
   */
  readonly provide: (name: string) => string
  /** Runs a program in the checkout. */
  readonly run: (program: string, ...args: ReadonlyArray<string>) => Promise<Output>
  /** Runs blocks of shell, one after the other; the first that fails is the last. */
  readonly shell: (blocks: ReadonlyArray<Fence>) => Promise<Output>
  readonly remove: () => void
}

export const makeCheckout = (): Checkout => {
  const folder = mkdtempSync(join(tmpdir(), "sandboxer-docs-"))
  const [home, checkout, programs] = [join(folder, "home"), join(folder, "checkout"), join(folder, "bin")]
  for (const made of [home, checkout, programs]) mkdirSync(made)
  const own = packageOf(root)
  for (const name of ["package.json", "README.md", "LICENSE", ...(own.files ?? [])]) {
    cpSync(join(root, name), join(checkout, name), {
      recursive: true,
      filter: (from) => !from.includes("node_modules", root.length)
    })
  }
  writeFileSync(
    join(programs, "sandboxer"),
    `#!/bin/sh\nexec '${process.execPath}' '${root}dist/bin.js' "$@"\n`
  )
  chmodSync(join(programs, "sandboxer"), 0o755)
  const env = {
    HOME: home,
    PATH: [programs, dirname(process.execPath), process.env.PATH ?? ""].join(delimiter),
    // Said to be nothing, they say nothing.
    SANDBOXER_HOME: "",
    XDG_STATE_HOME: "",
    XDG_CONFIG_HOME: "",
    npm_config_offline: "true",
    npm_config_audit: "false",
    // Without it npm 10 asks the registry for peer dependencies that are there.
    npm_config_legacy_peer_deps: "true",
    // It is built, and what it takes is compiled.
    npm_config_ignore_scripts: "true",
    npm_config_update_notifier: "false"
  }
  const inside: Checkout["run"] = (program, ...args) => run(program, args, { cwd: checkout, env })
  return {
    folder,
    home,
    provide: (name) => {
      const project = join(folder, name)
      const example = packageOf(join(root, "examples", name))
      const { sandboxer: _, ...wanted } = {
        ...example.dependencies,
        ...example.devDependencies,
        ...own.dependencies
      }
      for (const dependency of Object.keys(wanted)) {
        const link = join(project, "node_modules", dependency)
        mkdirSync(dirname(link), { recursive: true })
        symlinkSync(join(root, "node_modules", dependency), link)
      }
      return project
    },
    run: inside,
    shell: (blocks) => {
      const script = blocks.map(({ document, line, text }) => `(: ${document}:${line}\n${text})`).join("\n")
      return inside("sh", "-exc", script)
    },
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}
