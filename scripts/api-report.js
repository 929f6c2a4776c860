/**
 * Writes docs/api/*.api.md from the types in dist/: every name that this package offers, with its signature. With
 * `--check` it changes nothing, and fails if a report differs: an export was added, changed or removed.
 *
 *   node scripts/api-report.js [--check]
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor"

const root = fileURLToPath(new URL("..", import.meta.url))
const check = process.argv.includes("--check")
const reports = join(root, "docs/api")
const entries = ["index", "node", "testing"]

/** @param {string} entry */
const configOf = (entry) =>
  ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, "package.json"),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, `dist/${entry}.d.ts`),
      compiler: { tsconfigFilePath: join(root, "tsconfig.json") },
      apiReport: {
        enabled: true,
        reportFileName: `${entry}.api.md`,
        reportFolder: reports,
        reportTempFolder: join(root, "node_modules/.cache/api-report"),
        includeForgottenExports: false
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: "lf",
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        // The docstrings are Effect's kind (@category, @example), not TSDoc's.
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } }
      }
    }
  })

const configs = entries.map(configOf)
const compilerState = CompilerState.create(configOf("index"), {
  additionalEntryPoints: configs.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath)
})

mkdirSync(reports, { recursive: true })
const changed = configs.filter((config) => {
  const { apiReportChanged } = Extractor.invoke(config, {
    compilerState,
    localBuild: !check,
    messageCallback: (message) => {
      message.handled = true
    }
  })
  return apiReportChanged
})

if (check && changed.length > 0) {
  const names = changed.map(({ reportFilePath }) => reportFilePath.slice(root.length)).join(", ")
  process.stderr.write(
    `error: the public API differs from ${names}\nhint: run \`make docs\`, read the difference, and commit it if it is meant\n`
  )
  process.exit(1)
}
