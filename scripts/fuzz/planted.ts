/** Targets with known faults, which show that a campaign finds them. */
import type { FuzzTarget } from './target.ts'

const corpus = () => [new TextEncoder().encode('<a><crash/><b>1</b></a>')]

export const planted: Readonly<Record<string, FuzzTarget>> = {
  'planted-crash': {
    what: 'crashes where an element stands twice',
    corpus,
    run(bytes) {
      if (new TextDecoder().decode(bytes).includes('<crash/><crash/>')) throw new TypeError('planted')
    },
  },
  'planted-hang': {
    what: 'never ends',
    corpus,
    run() {
      for (;;);
    },
  },
  'planted-memory': {
    what: 'keeps everything',
    corpus,
    run() {
      const kept: number[][] = []
      for (;;) kept.push(Array.from({ length: 100_000 }, (_, i) => i + 0.5))
    },
  },
  'planted-slow': {
    what: 'takes its time',
    corpus,
    run() {
      const before = process.threadCpuUsage().user
      while (process.threadCpuUsage().user - before < 100_000);
    },
  },
}
