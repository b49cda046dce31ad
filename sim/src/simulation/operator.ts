/** What the site's operator does by hand: a server that was shut off is let back in when the real one answers again (S12). */
import type { Site } from './site.ts'

export async function letBackIn({ placement, servers, world }: Site): Promise<void> {
  if (!placement) return
  for (const { id, state } of await placement.registry.servers()) {
    const machine = servers.get(id)
    if (state !== 'contained' || !machine || machine.impostor || machine.gone) continue
    world.story.say('operator', `lets ${id} back in`)
    await placement.releaseServer(id, 'the real one answers again')
  }
}
