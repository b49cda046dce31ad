import t from 'tap'
import { offerSave } from './contracts/save.ts'
import { deviceSubscriptions, deviceTopic, mayPublish, maySubscribe, parseTopic } from './topics.ts'

t.test('D3: every topic that is built parses back', (t) => {
  const xfer = '00112233445566778899aabbccddeeff'
  for (const topic of [
    deviceTopic('tokyo', 'cam-1', 'birth'),
    deviceTopic('tokyo', 'cam-1', 'call', offerSave.name),
    deviceTopic('tokyo', 'cam-1', 'up', xfer, 7),
  ]) {
    const parsed = parseTopic(topic)
    t.equal(deviceTopic(parsed.site, parsed.device!, parsed.kind as 'call', parsed.name, parsed.index), topic)
    t.ok(topic.split('/').length <= 8, 'at most seven slashes')
  }
  t.end()
})

t.test('D3: a device publishes and subscribes only as itself', (t) => {
  t.ok(mayPublish('s', 'a', 'v1/s/d/a/call/x'))
  for (const topic of [
    'v1/s/d/b/call/x',
    'v1/s/d/a/reply',
    'v1/t/d/a/birth',
    'v1/s/site',
    'v1/s/d/a/#',
    '$SYS/x',
    'v1/s/d/a/up/zz/1',
    'v1/s/d/a/call/x/y',
    `v1/s/d/a/call/${'x'.repeat(300)}`,
  ])
    t.notOk(mayPublish('s', 'a', topic), topic)
  for (const filter of deviceSubscriptions('s', 'a')) t.ok(maySubscribe('s', 'a', filter), filter)
  for (const filter of [
    '#',
    'v1/s/d/+/reply',
    'v1/s/d/b/reply',
    'v1/s/d/a/#',
    'v1/s/d/a/call/x',
    '$SYS/#',
    '$share/g/v1/s/d/a/reply',
  ])
    t.notOk(maySubscribe('s', 'a', filter), filter)
  t.end()
})
