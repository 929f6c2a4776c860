/**
 * Which module may import which. Imports go down, as listed in `below`; docs/architecture.md has the picture.
 *
 * A folder of src/ is a subject. An adapter lies in a subfolder that is named after what it adapts to, and only the wiring
 * (src/node.ts for the live layers, src/testing.ts for those of tests) knows it.
 */

/** For each folder, the folders that it may import besides itself. `node.ts` and `testing.ts` may import any. */
const below = {
  domain: [],
  settings: ["domain"],
  hosts: ["settings", "domain"],
  profiles: ["settings", "domain"],
  packer: ["hosts", "settings", "domain"],
  store: ["hosts", "settings", "domain"],
  hub: ["store", "settings", "domain"],
  artifacts: ["store", "hosts", "settings", "domain"],
  secrets: ["store", "settings", "domain"],
  recipe: ["artifacts", "store", "packer", "hosts", "settings", "domain"],
  extensions: ["recipe", "artifacts", "store", "packer", "hosts", "settings", "domain"],
  provisioning: ["recipe", "artifacts", "secrets", "hub", "store", "hosts", "settings", "domain"],
  sandboxes: [
    "provisioning",
    "extensions",
    "recipe",
    "artifacts",
    "secrets",
    "hub",
    "store",
    "hosts",
    "profiles",
    "settings",
    "domain"
  ],
  doctor: ["sandboxes", "store", "packer", "hosts", "settings", "domain"]
}
const above = { cli: Object.keys(below), bin: ["cli", ...Object.keys(below)] }

/** Subfolders with the adapters of a port; the files of an adapter know each other. */
const adapters = [
  "artifacts/files",
  "doctor/machine",
  "hosts/(local|memory|placement|ssh)",
  "hub/client/(http|journal|memory|tee)",
  "hub/server/(node|page|sql)",
  "packer/(command|scripted)",
  "profiles/directory",
  "provisioning/(detached|fibers)",
  "recipe/store",
  "secrets/(files|memory)",
  "store/(memory|proc|sql)"
]
const adapter = `^src/(${adapters.join("|")})/`
const internal = "^src/internal/"
const wiring = "^src/(node|testing)\\.ts$"

/** Where a package's files are: `npm("effect")` is `effect` and no `effect-something`. */
const npm = (...names) => `(^|/)node_modules/(${names.join("|")})/`

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    // --- Imports go down ---
    ...Object.entries({ ...below, ...above }).map(([folder, allowed]) => ({
      name: `${folder}-imports-what-is-below`,
      comment: `src/${folder}/ imports ${["itself", ...allowed].join(", ")}. Its adapters import src/internal/, too.`,
      severity: "error",
      from: { path: `^src/${folder}/` },
      to: {
        path: "^src/",
        pathNot: [folder, "internal", ...allowed]
          .map((name) => `^src/${name}/`)
          .concat(folder in above ? wiring : [])
      }
    })),
    {
      name: "adapter-is-known-to-the-wiring-alone",
      comment: "Layers decide which Host, which Packer, which hub there is: everyone else imports the port.",
      severity: "error",
      from: { path: "^src/([^/]+)", pathNot: [adapter, wiring] },
      to: { path: adapter }
    },
    {
      name: "adapter-knows-adapters-of-its-own-folder",
      comment: "An adapter is built over ports, and over other adapters of the same folder.",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: { path: adapter, pathNot: "^src/$1/" }
    },
    {
      name: "internal-is-for-adapters",
      comment: "src/internal/ wraps this platform: ports, recipes and the manager run on any.",
      severity: "error",
      from: { path: "^src/", pathNot: [adapter, internal] },
      to: { path: internal }
    },
    {
      name: "internal-imports-domain-alone",
      comment: "What wraps the platform does not know what it is used for.",
      severity: "error",
      from: { path: internal },
      to: { path: "^src/", pathNot: [internal, "^src/domain/"] }
    },
    {
      name: "private-folder-stays-in-its-folder",
      comment: "X/internal/ is private to X.",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: { path: "^src/[^/]+/internal/", pathNot: "^src/$1/" }
    },
    {
      name: "extension-imports-no-other",
      comment: "An extension stands alone.",
      severity: "error",
      from: { path: "^src/extensions/([^/]+)/" },
      to: { path: "^src/extensions/", pathNot: "^src/extensions/$1/" }
    },
    {
      name: "entry-points-are-for-others",
      comment:
        "index.ts, node.ts and testing.ts are what this package offers; of src/, only the command imports one.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(cli|bin)/" },
      to: { path: "^src/[^/]+\\.ts$" }
    },

    // --- What comes from outside ---
    {
      name: "domain-imports-effect-alone",
      comment: "The domain is schemas and pure functions.",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { pathNot: ["^src/domain/", npm("effect")] }
    },
    {
      name: "child-processes-in-one-module",
      comment: "A process that src/internal/Processes.ts did not start is one that nobody stops.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/internal/Processes\\.ts$" },
      to: { path: "^(node:)?(child_process|cluster|worker_threads)$" }
    },
    {
      name: "no-platform-commands",
      comment: "@effect/platform's Command starts processes too: use src/internal/Processes.ts.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "@effect/platform[^/]*/dist/.*/(Command|CommandExecutor|NodeCommandExecutor)\\." }
    },
    {
      name: "node-in-adapters-alone",
      comment: "Ports, recipes and the manager run on any platform; what touches this one is an adapter.",
      severity: "error",
      from: { path: "^src/", pathNot: [adapter, internal, wiring, "^src/(cli|bin)/"] },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "node-packages-in-adapters-alone",
      comment:
        "Ports, recipes and the manager import Effect's neutral packages, never those of Node or SQLite.",
      severity: "error",
      from: { path: "^src/", pathNot: [adapter, internal, wiring, "^src/(cli|bin)/"] },
      to: { path: npm("@effect/platform-node", "@effect/platform-node-shared", "better-sqlite3") }
    },
    {
      name: "extension-imports-effect-alone",
      comment:
        "Of packages, a recipe needs `effect`, and FileSystem and Path of @effect/platform to plan with.",
      severity: "error",
      from: { path: "^src/extensions/" },
      to: { path: "node_modules/", pathNot: npm("effect", "@effect/platform") }
    },
    {
      name: "effect-cli-in-cli-alone",
      comment: "The library does not need @effect/cli, and a later move touches one folder.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: npm("@effect/cli") }
    },
    {
      name: "library-imports-what-it-ships-with",
      comment:
        "The command is bundled; the library is not: what it imports must be among dependencies or peerDependencies.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(cli|bin)/" },
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
      from: { orphan: true, path: "^src/", pathNot: "^src/[^/]+\\.ts$" },
      to: {}
    }
  ],

  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^test/data/" },
    tsConfig: { fileName: "tsconfig.json" },
    /** Type-only imports count: they tie modules together for the reader. */
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "types", "default"],
      extensions: [".ts", ".js", ".json"]
    }
  }
}
