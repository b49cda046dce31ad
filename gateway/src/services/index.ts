/** The services of a site. A new one is a folder beside these and a line here; everything else follows from it. */
import type { ServiceModule } from '../host/service-module.ts'
import { content } from './content/module.ts'
import { placement } from './placement/module.ts'
import { rights } from './rights/module.ts'
import { settlement } from './settlement/module.ts'
import { work } from './work/module.ts'

export const services: readonly ServiceModule[] = [placement, settlement, content, rights, work]
