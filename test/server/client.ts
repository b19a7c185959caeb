/** A language client over the stdio of a real `qc lsp`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import {
  createProtocolConnection,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node';

export class Client {
  /** The latest diagnostics of each text, with the version that they are of. */
  readonly published = new Map<string, { version: number; diagnostics: Diagnostic[] }>();
  /** The version of each text of which everything has been said. */
  readonly checked = new Map<string, number>();
  private waiting: (() => void)[] = [];
  private readonly versions = new Map<string, number>();
  private constructor(
    readonly connection: ProtocolConnection,
    readonly child: ChildProcess,
    readonly exited: Promise<number | null>,
  ) {}

  static async start(
    folder: string,
    command: readonly string[] = [process.execPath, '--import', 'tsx', 'compiler/cli/main.ts', 'lsp'],
  ): Promise<Client> {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = new Promise<number | null>((done) => child.on('exit', done));
    const connection = createProtocolConnection(new StreamMessageReader(child.stdout!), new StreamMessageWriter(child.stdin!));
    const client = new Client(connection, child, exited);
    connection.onNotification(PublishDiagnosticsNotification.type, (p) => {
      client.published.set(p.uri, { version: p.version ?? 0, diagnostics: p.diagnostics });
      for (const done of client.waiting.splice(0)) done();
    });
    connection.onNotification('$/qc/checked', (p: { uri: string; version: number }) => {
      client.checked.set(p.uri, p.version);
      for (const done of client.waiting.splice(0)) done();
    });
    connection.listen();
    const uri = pathToFileURL(folder).href;
    await connection.sendRequest(InitializeRequest.type, {
      processId: process.pid,
      rootUri: uri,
      capabilities: {},
      workspaceFolders: [{ uri, name: 'w' }],
    });
    await connection.sendNotification(InitializedNotification.type, {});
    return client;
  }
  async open(uri: string, text: string): Promise<void> {
    this.versions.set(uri, 1);
    this.checked.delete(uri);
    await this.connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId: 'qrecipe', version: 1, text },
    });
  }
  async change(uri: string, changes: { range?: import('vscode-languageserver-protocol').Range; text: string }[]): Promise<void> {
    const version = (this.versions.get(uri) ?? 0) + 1;
    this.versions.set(uri, version);
    await this.connection.sendNotification(DidChangeTextDocumentNotification.type, {
      textDocument: { uri, version },
      contentChanges: changes as never,
    });
  }
  async close(uri: string): Promise<void> {
    await this.connection.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } });
  }
  /** Diagnostics of the newest version of a text. */
  async diagnostics(uri: string): Promise<Diagnostic[]> {
    await this.settled(uri);
    return this.published.get(uri)?.diagnostics ?? [];
  }
  /** Waits until everything has been said of the newest version of a text. */
  async settled(uri: string): Promise<void> {
    while ((this.checked.get(uri) ?? 0) < (this.versions.get(uri) ?? 0)) await this.next();
  }
  next(): Promise<void> {
    return new Promise((done) => this.waiting.push(done));
  }
  /** Says goodbye; gives the exit status. */
  async end(): Promise<number | null> {
    await this.connection.sendRequest(ShutdownRequest.type);
    await this.connection.sendNotification(ExitNotification.type);
    return this.exited;
  }
}
