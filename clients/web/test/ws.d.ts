// The part of `ws` that the tests use; its own types would be one package more.
declare module 'ws' {
  export class WebSocket {
    constructor(url: string);
  }
}
