// How a command logs: the names that options, environment and logger share.

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Read where `--log-format` is left out. Processes that a command starts log as it does. */
export const LOG_FORMAT_VARIABLE = 'CAN_OTA_LOG_FORMAT';
