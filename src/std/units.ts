/** Durations are milliseconds, sizes are bytes; these constants keep a `1204` from hiding. */
export const MILLISECOND = 1
export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
