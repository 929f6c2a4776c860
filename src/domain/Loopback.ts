/** Whether a host of a URL or of a listening address is the loopback interface, which other machines cannot reach. */
export const isLoopback = (host: string): boolean =>
  /^(?:localhost|::1|\[::1\]|127(?:\.\d{1,3}){3})$/i.test(host)
