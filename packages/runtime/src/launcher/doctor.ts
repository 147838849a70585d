export async function doctor(_options: { json: boolean }): Promise<number> {
  return 0
}
