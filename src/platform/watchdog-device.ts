import { Fault, messageOf } from '../std/fault.ts'
import {
  accessSync,
  basename,
  closeSync,
  fsConstants,
  openSync,
  readFileSync,
  realpathSync,
  writeSync,
  join,
} from './disk.ts'
import { runProgram } from './process.ts'

/*
 * A watchdog of Linux (Documentation/watchdog/watchdog-api.rst, sysfs-class-watchdog): a file that resets the host when it was opened
 * and nothing is written to it for its timeout. Node knows no ioctl, so the timeout is read in sysfs and set by wdctl of util-linux.
 */

const SYSFS = '/sys/class/watchdog'
const WDCTL_MS = 2000
const KICK = '\0'
/** The magic close: a device that is closed without it runs on, and resets the host. */
const MAGIC_CLOSE = 'V'

export type WatchdogFolders = {
  /** Where the kernel tells about its devices; another folder in tests. */
  readonly sysfs: string
  readonly wdctl: string
}

export class LinuxWatchdog {
  readonly #folders: WatchdogFolders
  #file: number | undefined

  constructor(folders: WatchdogFolders = { sysfs: SYSFS, wdctl: 'wdctl' }) {
    this.#folders = folders
  }

  read(
    device: string,
  ): { timeoutS: number; minS: number; maxS: number; isNowayout: boolean; isRunning: boolean } | undefined {
    const path = targetOf(device)
    if (path === undefined) return undefined
    try {
      accessSync(path, fsConstants.W_OK)
    } catch {
      throw new Fault(
        'WATCHDOG_UNUSABLE',
        `this user may not write to "${device}"; give its group the right by a udev rule (deploy/udev)`,
      )
    }
    const folder = join(this.#folders.sysfs, basename(path) === 'watchdog' ? 'watchdog0' : basename(path))
    const number = (name: string): number | undefined => {
      const text = textOf(join(folder, name))
      return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text)
    }
    const timeoutS = number('timeout')
    if (timeoutS === undefined) {
      throw new Fault(
        'WATCHDOG_UNUSABLE',
        `the kernel tells no timeout of "${device}" in ${folder}; name the device as /dev/watchdog0`,
      )
    }
    return {
      timeoutS,
      minS: number('min_timeout') ?? 0,
      maxS: number('max_timeout') ?? 0,
      isNowayout: number('nowayout') === 1,
      isRunning: textOf(join(folder, 'state')) === 'active',
    }
  }

  async changeTimeout(device: string, seconds: number): Promise<void> {
    try {
      await runProgram(this.#folders.wdctl, ['--settimeout', String(seconds), device], WDCTL_MS)
    } catch (error) {
      throw new Fault('WATCHDOG_UNUSABLE', `wdctl of util-linux failed: ${messageOf(error).split('\n')[0]}`)
    }
  }

  open(device: string): void {
    try {
      this.#file = openSync(device, fsConstants.O_WRONLY)
    } catch (error) {
      const isBusy = (error as NodeJS.ErrnoException).code === 'EBUSY'
      const remedy = isBusy
        ? 'another program holds it (RuntimeWatchdogSec of systemd, watchdogd); leave it to one of them'
        : messageOf(error)
      throw new Fault('WATCHDOG_UNUSABLE', `cannot open "${device}": ${remedy}`)
    }
  }

  kick(): void {
    if (this.#file !== undefined) writeSync(this.#file, KICK)
  }

  close(): void {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    try {
      writeSync(file, MAGIC_CLOSE)
    } finally {
      closeSync(file)
    }
  }
}

function targetOf(device: string): string | undefined {
  try {
    return realpathSync(device)
  } catch {
    return undefined
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
