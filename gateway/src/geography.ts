/**
 * Where regions are: ISO 3166-2 codes with the position of their seat of government (degrees, WGS 84). Distances
 * between servers use the servers' own positions; regions stand in for devices and homes.
 */
export interface Position {
  latitude: number
  longitude: number
}

export interface RegionFact extends Position {
  name: string
  nameJa?: string
}

const rows: [code: string, latitude: number, longitude: number, name: string, nameJa?: string][] = [
  ['JP-01', 43.06, 141.35, 'Hokkaido', '北海道'],
  ['JP-02', 40.82, 140.74, 'Aomori', '青森県'],
  ['JP-03', 39.7, 141.15, 'Iwate', '岩手県'],
  ['JP-04', 38.27, 140.87, 'Miyagi', '宮城県'],
  ['JP-05', 39.72, 140.1, 'Akita', '秋田県'],
  ['JP-06', 38.24, 140.36, 'Yamagata', '山形県'],
  ['JP-07', 37.75, 140.47, 'Fukushima', '福島県'],
  ['JP-08', 36.34, 140.45, 'Ibaraki', '茨城県'],
  ['JP-09', 36.57, 139.88, 'Tochigi', '栃木県'],
  ['JP-10', 36.39, 139.06, 'Gunma', '群馬県'],
  ['JP-11', 35.86, 139.65, 'Saitama', '埼玉県'],
  ['JP-12', 35.6, 140.12, 'Chiba', '千葉県'],
  ['JP-13', 35.69, 139.69, 'Tokyo', '東京都'],
  ['JP-14', 35.45, 139.64, 'Kanagawa', '神奈川県'],
  ['JP-15', 37.9, 139.02, 'Niigata', '新潟県'],
  ['JP-16', 36.7, 137.21, 'Toyama', '富山県'],
  ['JP-17', 36.59, 136.63, 'Ishikawa', '石川県'],
  ['JP-18', 36.07, 136.22, 'Fukui', '福井県'],
  ['JP-19', 35.66, 138.57, 'Yamanashi', '山梨県'],
  ['JP-20', 36.65, 138.18, 'Nagano', '長野県'],
  ['JP-21', 35.39, 136.72, 'Gifu', '岐阜県'],
  ['JP-22', 34.98, 138.38, 'Shizuoka', '静岡県'],
  ['JP-23', 35.18, 136.91, 'Aichi', '愛知県'],
  ['JP-24', 34.73, 136.51, 'Mie', '三重県'],
  ['JP-25', 35.0, 135.87, 'Shiga', '滋賀県'],
  ['JP-26', 35.02, 135.76, 'Kyoto', '京都府'],
  ['JP-27', 34.69, 135.52, 'Osaka', '大阪府'],
  ['JP-28', 34.69, 135.18, 'Hyogo', '兵庫県'],
  ['JP-29', 34.69, 135.83, 'Nara', '奈良県'],
  ['JP-30', 34.23, 135.17, 'Wakayama', '和歌山県'],
  ['JP-31', 35.5, 134.24, 'Tottori', '鳥取県'],
  ['JP-32', 35.47, 133.05, 'Shimane', '島根県'],
  ['JP-33', 34.66, 133.93, 'Okayama', '岡山県'],
  ['JP-34', 34.4, 132.46, 'Hiroshima', '広島県'],
  ['JP-35', 34.19, 131.47, 'Yamaguchi', '山口県'],
  ['JP-36', 34.07, 134.56, 'Tokushima', '徳島県'],
  ['JP-37', 34.34, 134.04, 'Kagawa', '香川県'],
  ['JP-38', 33.84, 132.77, 'Ehime', '愛媛県'],
  ['JP-39', 33.56, 133.53, 'Kochi', '高知県'],
  ['JP-40', 33.61, 130.42, 'Fukuoka', '福岡県'],
  ['JP-41', 33.25, 130.3, 'Saga', '佐賀県'],
  ['JP-42', 32.74, 129.87, 'Nagasaki', '長崎県'],
  ['JP-43', 32.79, 130.74, 'Kumamoto', '熊本県'],
  ['JP-44', 33.24, 131.61, 'Oita', '大分県'],
  ['JP-45', 31.91, 131.42, 'Miyazaki', '宮崎県'],
  ['JP-46', 31.56, 130.56, 'Kagoshima', '鹿児島県'],
  ['JP-47', 26.21, 127.68, 'Okinawa', '沖縄県'],
  ['AU-NSW', -33.87, 151.21, 'New South Wales'],
  ['BR-SP', -23.55, -46.63, 'São Paulo'],
  ['CA-QC', 45.5, -73.57, 'Quebec'],
  ['CH-ZH', 47.37, 8.54, 'Zürich'],
  ['DE-HE', 50.11, 8.68, 'Hesse'],
  ['FI-18', 60.17, 24.94, 'Uusimaa'],
  ['GB-LND', 51.51, -0.13, 'London'],
  ['IN-MH', 19.08, 72.88, 'Maharashtra'],
  ['IS-1', 64.15, -21.94, 'Reykjavík'],
  ['KR-11', 37.57, 126.98, 'Seoul'],
  ['SE-AB', 59.33, 18.07, 'Stockholm'],
  ['SG', 1.35, 103.82, 'Singapore'],
  ['TW-TPE', 25.03, 121.57, 'Taipei'],
  ['US-CA', 37.77, -122.42, 'California'],
  ['US-OR', 45.52, -122.68, 'Oregon'],
  ['US-VA', 39.04, -77.49, 'Virginia'],
  ['ZA-GP', -26.2, 28.05, 'Gauteng'],
]

export const regions: ReadonlyMap<string, RegionFact> = new Map(
  rows.map(([code, latitude, longitude, name, nameJa]) => [
    code,
    { latitude, longitude, name, ...(nameJa ? { nameJa } : {}) },
  ]),
)

const earthKm = 6371.0088

/** Great-circle distance in km (haversine). */
export function distanceKm(a: Position, b: Position): number {
  const rad = Math.PI / 180
  const dLat = (b.latitude - a.latitude) * rad
  const dLon = (b.longitude - a.longitude) * rad
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a.latitude * rad) * Math.cos(b.latitude * rad) * Math.sin(dLon / 2) ** 2
  return 2 * earthKm * Math.asin(Math.min(1, Math.sqrt(h)))
}
