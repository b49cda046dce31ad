/** Which of the Japan Meteorological Agency's kinds of report are read, by the title at their head. */

export interface JmaKind {
  /** What they tell of: hazards of one event and subject are one. */
  subject: 'quake' | 'tsunami' | 'typhoon'
  /** Short name. A report that takes back what was announced takes back what its own kind did. */
  telegram: string
}

/** Several hundred other kinds are no danger to data, or none that can be placed: they are passed over. */
const kinds: [title: RegExp, kind: JmaKind][] = [
  [/^緊急地震速報（警報）/, { subject: 'quake', telegram: 'VXSE43' }],
  [/^緊急地震速報（予報）/, { subject: 'quake', telegram: 'VXSE44' }],
  [/^緊急地震速報（地震動予報）/, { subject: 'quake', telegram: 'VXSE45' }],
  [/^震度速報/, { subject: 'quake', telegram: 'VXSE51' }],
  [/^震源に関する情報/, { subject: 'quake', telegram: 'VXSE52' }],
  [/^震源・震度に関する情報/, { subject: 'quake', telegram: 'VXSE53' }],
  [/^顕著な地震の震源要素更新のお知らせ/, { subject: 'quake', telegram: 'VXSE61' }],
  [/^長周期地震動に関する観測情報/, { subject: 'quake', telegram: 'VXSE62' }],
  [/^津波警報・注意報・予報/, { subject: 'tsunami', telegram: 'VTSE41' }],
  [/^津波情報/, { subject: 'tsunami', telegram: 'VTSE51' }],
  [/^台風解析・予報情報（３日予報）/, { subject: 'typhoon', telegram: 'VPTW40' }],
  [/^台風解析・予報情報（５日予報）（Ｈ３０）/, { subject: 'typhoon', telegram: 'VPTW60' }],
  [/^台風解析・予報情報/, { subject: 'typhoon', telegram: 'VPTW50' }],
]

/** Undefined: a kind that is not read. */
export function kindOf(title: string): JmaKind | undefined {
  return kinds.find(([pattern]) => pattern.test(title))?.[1]
}
