/**
 * What can be known of a database file from outside of SQLite, and puts it in danger.
 *
 * What is kept true: the file, its WAL and its shared memory are never opened, since to close any descriptor of them would drop the locks that SQLite holds in this
 * process (https://sqlite.org/howtocorrupt.html, 2.2). Only entries of folders and of /proc are looked at. What cannot be known is not claimed.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'

// --- network file systems --------------------------------------------------------------------------------------------------------

/** By the number that statfs gives (linux/magic.h, and statfs(2)). Those of clusters are among them: other machines have the file too, and share no memory. */
const network: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9p'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x19830326, 'BeeGFS'],
  [0x20030528, 'OrangeFS'],
  [0xaad7aaea, 'PanFS'],
  [0x786f4256, 'VirtualBox shared folder'],
  [0xbacbacbc, 'VMware shared folder'],
  [0x7c7c6673, 'Parallels shared folder']
])
const FUSE = 0x65735546
/** What FUSE mounts from a disk of this machine; the rest (sshfs, s3fs, virtiofs, …) is elsewhere, or cannot be told. */
const LOCAL_FUSE = /^(?:fuseblk|fuse\.(?:fuse-overlayfs|mergerfs|bindfs|encfs|gocryptfs|ntfs-3g|squashfuse|unionfs))$/

/** The kind of network file system that the file is on, on Linux; undefined for a local one, and where it cannot be known. */
export function networkFileSystem (path: string): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const folder = dirname(realpathSync(path))
    const type = statfsSync(folder).type
    return nameOfType(type, type === FUSE ? mountType(folder) : undefined)
  } catch {
    return undefined
  }
}

/** `mount`: what /proc/self/mountinfo calls it, needed for FUSE alone. */
export function nameOfType (type: number, mount?: string): string | undefined {
  if (type === FUSE) return mount !== undefined && LOCAL_FUSE.test(mount) ? undefined : 'FUSE'
  return network.get(type >>> 0) // sign-extended on some machines
}

/** Of the file system that the folder is on: 'ext4', 'fuse.sshfs'. https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html */
export function mountType (folder: string): string | undefined {
  const { dev } = statSync(folder, { bigint: true })
  const device = `${(dev >> 8n) & 0xfffn}:${(dev & 0xffn) | ((dev >> 12n) & 0xfff00n)}`
  const line = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').findLast(text => text.split(' ')[2] === device)
  return line?.split(' - ')[1]?.split(' ')[0]
}

// --- other SQLite libraries --------------------------------------------------------------------------------------------------------

/**
 * Which other SQLite libraries of this process have the database open: paths, or 'node:sqlite'. If there are several that could be it, all of them; [] where it cannot be
 * known (another system than Linux, a database that is not in WAL mode, a library that has opened the file and not read yet).
 *
 * Each library opens the file of the shared memory once, however many connections and threads it has (`unixShmNode` of os_unix.c). So with one connection of ours that has
 * read, a second descriptor of it belongs to somebody else. To be called then.
 */
export function otherLibraries (path: string): string[] {
  if (process.platform !== 'linux') return []
  try {
    return countSharedMemory(realpathSync(path)) > 1 ? listLibraries() : []
  } catch {
    return []
  }
}

/** Descriptors of the `-shm` file; also of one that was unlinked by a library that did not see the locks of the others. */
function countSharedMemory (path: string): number {
  const file = statSync(`${path}-shm`, { throwIfNoEntry: false })
  return readdirSync('/proc/self/fd').filter(descriptor => {
    const link = `/proc/self/fd/${descriptor}`
    try {
      if (readlinkSync(link) === `${path}-shm (deleted)`) return true
      const { dev, ino } = statSync(link)
      return ino === file?.ino && dev === file.dev
    } catch {
      return false // closed meanwhile
    }
  }).length
}

/** Whose code is in this process and may be SQLite, without our own. Node.js has it inside of its executable. */
function listLibraries (): string[] {
  const own = ownFolder()
  const mapped = new Set(readFileSync('/proc/self/maps', 'utf8').split('\n').map(line => line.slice(line.indexOf('/'))))
  const others = [...mapped].filter(file => /sqlite|libsql/i.test(file) && /\.(?:node|so)(?:[.\d]*)$/.test(file) && !file.startsWith(own))
  const isBuiltInLoaded = (process as unknown as { moduleLoadList: readonly string[] }).moduleLoadList.includes('NativeModule sqlite')
  if (isBuiltInLoaded) others.push('node:sqlite')
  // it may be loaded in another thread, which has a list of its own
  return others.length > 0 ? others : ['node:sqlite in another thread, or a library with SQLite inside']
}

function ownFolder (): string {
  const main = realpathSync(createRequire(import.meta.url).resolve('better-sqlite3'))
  return dirname(dirname(main)) + sep
}
