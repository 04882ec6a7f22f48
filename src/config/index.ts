/**
 * Configuration: one table of options (`options.ts`), and what is made from it: values with their
 * sources, messages, help and documentation.
 *
 * Not here: what options do, and reading files, which is left to the caller's `readText`.
 *
 * INVARIANT: a `MountConfig` is complete and valid; nobody after `resolveConfig` checks or defaults.
 */
export { ConfigError, formatProblem } from './config-error.ts';
export { alignColumns, formatConfig } from './format.ts';
export { withoutAddedWords } from './mount-flags.ts';
export { describeMounts, describeNameSpace } from './mounts.ts';
export { defaultText, optionsMarkdown } from './markdown.ts';
export { isBooleanOption, isFlagOnCommandLine, OPTION_GROUPS, optionList } from './options.ts';
export type { AnyOption, OptionField, OptionGroup } from './options.ts';
export { defaultStateDir, inspectConfig, redactConfig, resolveConfig } from './resolve.ts';
export type { ConfigEntry, ConfigInputs, ConfigInspection, ResolvedConfig } from './resolve.ts';
export type {
  ConfigProblem,
  ConfiguredMount,
  Driver,
  LogLevel,
  MountConfig,
  OptionValues,
  Provenance,
  SourceKind,
  StaticWorker,
} from './types.ts';
export { formatDuration, formatSize, parseDuration, parseSize, ValueError } from './values.ts';
