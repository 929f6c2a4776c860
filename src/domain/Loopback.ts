/** Whether a host, as it stands in a URL or is listened on, is this machine and reached from nowhere else. */
export const isLoopback = (host: string): boolean =>
  /^(?:localhost|::1|\[::1\]|127(?:\.\d{1,3}){3})$/i.test(host)
