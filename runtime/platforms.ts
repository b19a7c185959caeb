/** The platforms that a native package is built for: one list for the loader, the package writer and the build matrix. */
export interface Platform {
  /** The package is `@qrecipe/native-NAME`. */
  readonly name: string;
  readonly os: NodeJS.Platform;
  readonly cpu: NodeJS.Architecture;
  /** Linux only: the C library that it is linked to. */
  readonly libc?: 'glibc' | 'musl';
  /** What cargo calls it. */
  readonly target: string;
}

export const platforms: readonly Platform[] = [
  { name: 'linux-x64-gnu', os: 'linux', cpu: 'x64', libc: 'glibc', target: 'x86_64-unknown-linux-gnu' },
  { name: 'linux-x64-musl', os: 'linux', cpu: 'x64', libc: 'musl', target: 'x86_64-unknown-linux-musl' },
  { name: 'linux-arm64-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc', target: 'aarch64-unknown-linux-gnu' },
  { name: 'linux-arm64-musl', os: 'linux', cpu: 'arm64', libc: 'musl', target: 'aarch64-unknown-linux-musl' },
  { name: 'darwin-x64', os: 'darwin', cpu: 'x64', target: 'x86_64-apple-darwin' },
  { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64', target: 'aarch64-apple-darwin' },
  { name: 'win32-x64-msvc', os: 'win32', cpu: 'x64', target: 'x86_64-pc-windows-msvc' },
  { name: 'win32-arm64-msvc', os: 'win32', cpu: 'arm64', target: 'aarch64-pc-windows-msvc' },
];

export const packageOf = (p: Platform): string => `@qrecipe/native-${p.name}`;

/** How libraries end on a system. */
export const libraryEnding = (os: NodeJS.Platform): string => ({ win32: 'dll', darwin: 'dylib' })[os as string] ?? 'so';

/** This machine's platform, if there is a package for it. */
export function thisPlatform(): Platform | undefined {
  const { platform, arch } = process;
  const header = platform === 'linux' ? (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header : undefined;
  const libc = platform === 'linux' ? (header?.glibcVersionRuntime ? 'glibc' : 'musl') : undefined;
  return platforms.find((p) => p.os === platform && p.cpu === arch && p.libc === libc);
}
