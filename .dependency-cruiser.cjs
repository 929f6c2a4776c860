/**
 * Which module may import which. Imports go down, one way:
 *
 *   bin → cli → Sandboxes → extensions → ports → domain
 *
 * An adapter (src/Host/*, src/Packer/*, …) hangs beside its port (src/Host.ts, src/Packer.ts, …), and only the wiring
 * (src/node.ts for the real ones, src/testing.ts for those of tests) knows it. docs/architecture.md tells why.
 */

const domain = "^src/domain/"
const manager = "^src/Sandboxes(\\.ts$|/)"
/** What wraps this machine for adapters: its processes, /proc, digests of its files, databases in files. */
const machine = "^src/(Processes|Proc|Digest|Sqlite)\\.ts$"
/** Any other file right in src/ with a capital, but for the manager; the supervision, over ports alone, is several. */
const port = "^src/(?!(Sandboxes|Processes|Proc|Digest|Sqlite)\\.ts$)([A-Z][^/]*\\.ts$|Supervision/)"
/** A folder right in src/ with a capital, but for the manager's own and the supervision's. */
const adapter = "^src/(?!(Sandboxes|Supervision)/)[A-Z][^/]*/"
/** What Packer says, as types and pure functions: its port speaks of them. */
const packerWords = "^src/Packer/(BuildEvents|Inspect|Version)\\.ts$"
const extensions = "^src/extensions/"
const cli = "^src/cli/"
/** What wires everything up, or offers it to the world. */
const top = "^src/(node|testing|index|bin|command)\\.ts$"

/** Where a package's files are: `npm("effect")` is `effect` and no `effect-something`. */
const npm = (...names) => `(^|/)node_modules/(${names.join("|")})/`

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    // --- Imports go down ---
    {
      name: "domain-imports-nothing-but-effect",
      comment: "The domain is schemas and pure functions: it imports itself and `effect`.",
      severity: "error",
      from: { path: domain },
      to: { pathNot: [domain, npm("effect")] }
    },
    {
      name: "port-imports-domain-and-ports",
      comment: "A port says what is wanted, never how: of our modules it imports the domain and other ports.",
      severity: "error",
      from: { path: port },
      to: { path: "^src/", pathNot: [domain, port, packerWords] }
    },
    {
      name: "adapter-imports-its-own-folder-ports-and-domain",
      comment:
        "An adapter is built over ports: of our modules it imports the domain, ports, and files of its own folder.",
      severity: "error",
      from: { path: "^src/(?!(?:Sandboxes|Supervision)/)([A-Z][^/]*)/" },
      to: { path: "^src/", pathNot: [domain, port, machine, "^src/$1/"] }
    },
    {
      name: "machine-imports-domain-alone",
      comment: "What wraps this machine knows nothing of what it is used for.",
      severity: "error",
      from: { path: machine },
      to: { path: "^src/", pathNot: [domain, machine] }
    },
    {
      name: "extension-imports-ports-and-domain",
      comment:
        "A recipe is a pure composition of ports (Extension.ts among them). It imports no other extension, no adapter.",
      severity: "error",
      from: { path: "^src/extensions/([^/]+)/" },
      to: { path: "^src/", pathNot: [domain, port, "^src/extensions/$1/"] }
    },
    {
      name: "manager-imports-extensions-and-below",
      comment: "The manager imports extensions, ports and the domain; what is above it decides on the rest.",
      severity: "error",
      from: { path: manager },
      to: { path: "^src/", pathNot: [domain, port, extensions, manager] }
    },
    {
      name: "cli-is-at-the-top",
      comment: "Nothing imports the commands but the executable: the library has no command line in it.",
      severity: "error",
      from: { path: "^(src|scripts)/", pathNot: [cli, "^src/command\\.ts$"] },
      to: { path: cli }
    },
    {
      name: "executable-is-imported-by-nobody",
      comment: "src/bin.ts and src/command.ts run when they are imported.",
      severity: "error",
      from: {},
      to: { path: "^src/(bin|command)\\.ts$" }
    },
    {
      name: "wiring-is-imported-from-above",
      comment:
        "Only the commands and the executable know the live wiring, and nothing in src knows the tests' one.",
      severity: "error",
      from: { path: "^src/", pathNot: [cli, "^src/command\\.ts$"] },
      to: { path: top }
    },
    {
      name: "testing-stays-out-of-the-program",
      comment: "src/testing.ts is for tests, and for those who embed us: the program never imports it.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/testing\\.ts$" }
    },

    // --- Adapters ---
    {
      name: "adapter-is-known-to-the-wiring-alone",
      comment:
        "Which Host, which Packer, which hub is decided by layers, in src/node.ts and src/testing.ts alone; everyone else imports the port.",
      severity: "error",
      from: { path: "^src/", pathNot: [adapter, "^src/(node|testing)\\.ts$"] },
      to: { path: adapter, pathNot: packerWords }
    },

    // --- What comes from outside ---
    {
      name: "child-processes-in-one-module",
      comment:
        "src/Processes.ts wraps child processes; a process that it did not start is one that nobody stops.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/Processes\\.ts$" },
      to: { path: "^(node:)?(child_process|cluster|worker_threads)$" }
    },
    {
      name: "no-platform-commands",
      comment: "@effect/platform's Command starts processes too: use src/Processes.ts.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "@effect/platform[^/]*/dist/.*/(Command|CommandExecutor|NodeCommandExecutor)\\." }
    },
    {
      name: "no-node-builtins-below-the-adapters",
      comment: "Ports, extensions and the manager run on any platform; what touches this one is an adapter.",
      severity: "error",
      from: { path: [domain, port, extensions, manager] },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "no-node-packages-below-the-adapters",
      comment:
        "Ports, extensions and the manager import Effect's neutral packages, never those of Node or SQLite.",
      severity: "error",
      from: { path: [domain, port, extensions, manager] },
      to: {
        path: npm("@effect/platform-node", "@effect/platform-node-shared", "better-sqlite3")
      }
    },
    {
      name: "extension-imports-effect-alone",
      comment:
        "Of packages, a recipe needs `effect` and @effect/platform's FileSystem and Path to plan with.",
      severity: "error",
      from: { path: extensions },
      to: { path: "node_modules/", pathNot: npm("effect", "@effect/platform") }
    },
    {
      name: "effect-cli-in-cli-alone",
      comment:
        "@effect/cli stays in src/cli, so that the library does not need it and a later move touches one folder.",
      severity: "error",
      from: { path: "^src/", pathNot: cli },
      to: { path: npm("@effect/cli") }
    },
    {
      name: "library-imports-what-it-ships-with",
      comment:
        "The command is bundled; the library is not: what it imports must be among dependencies or peerDependencies.",
      severity: "error",
      from: { path: "^src/", pathNot: [cli, "^src/command\\.ts$"] },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
        dependencyTypesNot: ["npm", "npm-peer"]
      }
    },
    {
      name: "program-does-not-import-tests",
      comment: "What ships does not need test/ or scripts/.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|scripts)/" }
    },

    // --- In general ---
    {
      name: "no-circular",
      comment:
        "Two modules that import each other, types included, are one idea in two files, or two that are tangled.",
      severity: "error",
      from: {},
      to: { circular: true }
    },
    {
      name: "not-to-unresolvable",
      comment: "An import that leads nowhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: "no-orphans",
      comment: "A module that nobody imports and that imports nothing is left over.",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: top },
      to: {}
    }
  ],

  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^test/data/" },
    tsConfig: { fileName: "tsconfig.json" },
    /** Type-only imports count: they tie modules together for the one who reads them. */
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "types", "default"],
      extensions: [".ts", ".js", ".json"]
    }
  }
}
