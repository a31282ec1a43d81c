import { fileURLToPath } from 'node:url'

/** The program that runs now, as agents, guards and routers are started with it: one folder above the bundle's files. */
export const MAIN_FILE: string = fileURLToPath(new URL('../main.js', import.meta.url))
