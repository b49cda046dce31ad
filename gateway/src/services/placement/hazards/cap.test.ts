/** CAP as agencies really send it, from the document to the risk of a place (S9, S14). */
import t from 'tap'
import { around, capAlert, hazardSite, named } from './test-hazards.ts'

const extreme = { severity: 'Extreme', certainty: 'Observed' }

t.test('S9: one alert for two areas, in parts that say the same, warns both', async (t) => {
  const site = await hazardSite()
  await site.push(capAlert({}, { area: around('suva') }, { area: around('frankfurt') }))
  for (const place of ['suva', 'frankfurt'] as const) t.ok((await site.risk(place)) > 0.03, place)
  t.end()
})

t.test(
  'S9: two areas of one part, one of which has no place that can be read: told, and the other counts',
  async (t) => {
    const site = await hazardSite()
    const second =
      '</area><area><areaDesc>Upper valley</areaDesc><geocode><valueName>UGC</valueName><value>X</value></geocode>'
    const { problems } = await site.push(capAlert({}, { area: around('suva') + second }))
    t.match(problems, [{ code: 'hazard.invalid', detail: /Upper valley/ }])
    t.ok((await site.risk('suva')) > 0.03)
    t.end()
  },
)

t.test('S14: languages of one alert count once; two dangers of one alert both count', async (t) => {
  const alone = await hazardSite()
  await alone.push(capAlert({}, { language: 'en', event: 'Flood warning', area: around('suva') }))
  const translated = await hazardSite()
  await translated.push(
    capAlert(
      {},
      { language: 'fr', event: 'Avertissement de crue', area: around('suva') },
      { language: 'en', event: 'Flood warning', area: around('suva') },
    ),
  )
  t.equal(await translated.risk('suva'), await alone.risk('suva'))
  t.match(translated.hazards(), [{ peril: 'flood' }], 'the words that are known name the peril')
  const both = await hazardSite()
  await both.push(capAlert({}, { area: around('suva') }, { event: 'Gale', area: around('suva') }))
  t.ok((await both.risk('suva')) > 1.5 * (await alone.risk('suva')))
  t.end()
})

t.test('S9: an update that cannot be used holds what it replaces, until one comes that can', async (t) => {
  const site = await hazardSite()
  await site.push(capAlert({ id: 'U1' }, { ...extreme, area: around('suva') }))
  const warned = await site.risk('suva')
  const later = { ...extreme, expires: '2024-06-03T21:00:00Z' }
  const code = '<geocode><valueName>UGC</valueName><value>MTZ014</value></geocode>'
  const update = (id: string, of: string) => ({
    id,
    type: 'Update',
    sent: '2024-06-03T02:30:00Z',
    references: named(of),
  })
  const { problems } = await site.push(capAlert(update('U2', 'U1'), { ...later, area: code }))
  t.match(problems, [{ code: 'hazard.invalid' }], 'told')
  t.equal(await site.risk('suva'), warned)
  await site.restart()
  await site.pass(15)
  t.equal(await site.risk('suva'), warned, 'as long as the update says, also after a restart')
  await site.push(
    capAlert(update('U3', 'U2'), { severity: 'Minor', expires: '2024-06-03T23:00:00Z', area: around('suva') }),
  )
  t.ok((await site.risk('suva')) < warned / 10, 'the successor’s successor replaces it')
  t.match(site.hazards(), [{ id: 'cap:warn@example.org,U3' }])
  t.end()
})

t.test('S9: an update of which only a part can be used adds that part and holds the rest', async (t) => {
  const site = await hazardSite()
  await site.push(
    capAlert({ id: 'U1' }, { ...extreme, area: around('suva') }, { ...extreme, area: around('frankfurt') }),
  )
  const warned = await site.risk('frankfurt')
  await site.push(
    capAlert(
      { id: 'U2', type: 'Update', sent: '2024-06-03T02:30:00Z', references: named('U1') },
      { ...extreme, area: around('suva') },
      { ...extreme, area: '<polygon>here and there</polygon>' },
    ),
  )
  t.equal(await site.risk('frankfurt'), warned)
  t.end()
})

t.test('S9: the cancel of a held update’s message ends what was held for it, in any order', async (t) => {
  const alert = capAlert({ id: 'U1' }, { ...extreme, area: around('suva') })
  const unusable = capAlert(
    { id: 'U2', type: 'Update', sent: '2024-06-03T02:20:00Z', references: named('U1') },
    extreme,
  )
  const cancel = capAlert({ id: 'U3', type: 'Cancel', sent: '2024-06-03T02:40:00Z', references: named('U2') })
  for (const order of [
    [alert, unusable, cancel],
    [unusable, alert, cancel],
    [unusable, cancel, alert],
    [alert, cancel, unusable],
    [cancel, unusable, alert],
  ]) {
    const site = await hazardSite()
    for (const document of order) await site.push(document)
    t.same(site.hazards(), [])
  }
  t.end()
})

t.test('S9: a cancel ends every part of its alert and no other alert', async (t) => {
  const site = await hazardSite()
  await site.push(capAlert({ id: 'A1' }, { area: around('suva') }, { area: around('frankfurt') }))
  await site.push(capAlert({ id: 'A11' }, { area: around('naha') }))
  const before = await site.risk('naha')
  const cancel = { id: 'C', type: 'Cancel', sent: '2024-06-03T02:30:00Z' }
  t.match((await site.push(capAlert(cancel))).problems, [{ code: 'hazard.invalid' }], 'a cancel that names nothing')
  t.match(
    (await site.push(capAlert({ ...cancel, sent: '2034-06-03T02:30:00Z', references: named('A1') }))).problems,
    [{ code: 'hazard.invalid' }],
    'one from the future',
  )
  t.equal(site.hazards().length, 3)
  await site.push(capAlert({ ...cancel, references: named('A1') }))
  t.match(site.hazards(), [{ id: 'cap:warn@example.org,A11' }])
  t.equal(await site.risk('naha'), before)
  await site.restart()
  t.equal(site.hazards().length, 1, 'also after a restart')
  t.end()
})

t.test('S9: an alert that expires before it begins counts until its event ends, or for a day', async (t) => {
  const times = { onset: '2024-06-03T04:00:00Z', expires: '2024-06-03T03:30:00Z', area: around('taipei') }
  const ending = (at: string) => `<parameter><valueName>eventEndingTime</valueName><value>${at}</value></parameter>`
  for (const [more, until] of [
    [ending('2024-06-04T10:00:00Z'), '2024-06-04T10:00:00.000Z'],
    ['', '2024-06-04T04:00:00.000Z'],
    [ending('2024-06-02T10:00:00Z'), '2024-06-04T04:00:00.000Z'],
  ] as const) {
    const site = await hazardSite()
    await site.push(capAlert({}, { ...times, more }))
    t.equal(new Date(site.hazards()[0]!.untilMs).toISOString(), until)
    await site.pass(2)
    t.ok((await site.risk('taipei')) > 0.03, 'two hours after its onset')
  }
  t.end()
})

t.test('S14: tests pass, by status and by event code', async (t) => {
  for (const code of ['RMT', 'RWT', 'DMO', 'NPT']) {
    const site = await hazardSite()
    const more = `<eventCode><valueName>SAME</valueName><value>${code}</value></eventCode>`
    await site.push(capAlert({}, { ...extreme, event: 'Some message', more, area: around('sendai') }))
    t.same(site.hazards(), [], code)
    await site.push(capAlert({}, { ...extreme, event: 'Required Monthly Test', area: around('sendai') }))
    t.same(site.hazards(), [], 'by its name')
    await site.push(capAlert({ id: 'W' }, { ...extreme, area: around('sendai') }))
    for (const head of [{}, { status: 'Test' }, { status: 'Exercise' }])
      await site.push(
        capAlert({ id: 'T', type: 'Update', sent: '2024-06-03T02:30:00Z', references: named('W'), ...head }, { more }),
      )
    t.equal(site.hazards().length, 1, 'a test ends no warning that it names')
  }
  t.end()
})

t.test('S14: ids of any length stay apart', async (t) => {
  const site = await hazardSite()
  const sender = 'https://alerts.civil-protection.example/feeds/common-alerting-protocol/'
  const id = (n: number) => `urn:oid:2.49.0.1.840.0.${'5ed0d33a9481f3c60b2b7e'.repeat(5)}.00${n}.1`
  await site.push(capAlert({ id: id(1), sender }, { area: around('suva') }))
  await site.push(capAlert({ id: id(2), sender, sent: '2024-06-03T02:10:00Z' }, { area: around('frankfurt') }))
  t.ok((await site.risk('suva')) > 0.03 && (await site.risk('frankfurt')) > 0.03)
  await site.push(
    capAlert({ id: 'C', sender, type: 'Cancel', sent: '2024-06-03T02:30:00Z', references: `${sender},${id(1)},x` }),
  )
  t.ok((await site.risk('suva')) < 0.01 && (await site.risk('frankfurt')) > 0.03)
  t.end()
})

t.test('S14: events are told by whole words', async (t) => {
  for (const [event, peril] of [
    ['Train derailment', 'outage'],
    ['Firearms incident', 'outage'],
    ['Heavy rainfall', 'flood'],
    ['Flash Flood Warning', 'flood'],
    ['Severe thunderstorm', 'storm'],
    ['Wildfires', 'fire'],
    ['大雨警報', 'flood'],
  ] as const) {
    const site = await hazardSite()
    await site.push(capAlert({}, { event, category: 'Other', area: around('suva') }))
    t.match(site.hazards(), [{ peril }], event)
  }
  t.end()
})

t.test('S14: an empty or broken polygon beside a circle: the circle counts', async (t) => {
  for (const [polygon, count] of [
    ['<polygon></polygon>', 0],
    ['<polygon> \n </polygon>', 0],
    ['<polygon>26,127 26,128</polygon>', 1],
    ['<polygon>north, south</polygon>', 1],
  ] as const) {
    const site = await hazardSite()
    const { problems } = await site.push(capAlert({}, { area: `${polygon}<circle>26.21,127.68 30</circle>` }))
    t.equal(problems.length, count, polygon)
    t.ok((await site.risk('naha')) > 0.03)
  }
  t.end()
})

t.test('S14: an all-clear ends its alert, but not beside a call to take shelter', async (t) => {
  const update = { id: 'U2', type: 'Update', sent: '2024-06-03T02:30:00Z', references: named('U1') }
  const clear = '<responseType>AllClear</responseType>'
  for (const [more, left] of [
    [clear, 0],
    [`${clear}<responseType>Monitor</responseType>`, 0],
    [`${clear}<responseType>Shelter</responseType>`, 1],
  ] as const) {
    const site = await hazardSite()
    await site.push(capAlert({ id: 'U1' }, { area: around('suva') }))
    await site.push(capAlert(update, { more, area: around('suva') }))
    t.equal(site.hazards().length, left)
  }
  t.end()
})
