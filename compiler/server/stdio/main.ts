/** `qc lsp`: the language server over stdin and stdout. Wires the features to the protocol; nothing of a workspace is executed. */
import { fileURLToPath } from 'node:url';
import {
  type CancellationToken,
  type Connection,
  createConnection,
  LSPErrorCodes,
  ResponseError,
  type ServerCapabilities,
  StreamMessageReader,
  StreamMessageWriter,
  TextDocumentSyncKind,
  TextDocuments,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { type Analysis, analyze, everything, nothing, since } from '../analysis.ts';
import { actions } from '../features/actions.ts';
import { completion } from '../features/completion.ts';
import { definition } from '../features/definition.ts';
import { diagnostics } from '../features/diagnostics.ts';
import { folding } from '../features/folding.ts';
import { formatting } from '../features/formatting.ts';
import { hover } from '../features/hover.ts';
import { inlay } from '../features/inlay.ts';
import { references } from '../features/references.ts';
import { prepareRename, type Refused, rename } from '../features/rename.ts';
import { legend, semanticTokens } from '../features/semantic-tokens.ts';
import { symbols } from '../features/symbols.ts';
import { moved } from '../moved.ts';
import type { Document } from '../workspace.ts';
import { Folder, folderOf, type Open } from './folder.ts';
import { Models } from './models.ts';

/** Milliseconds without a change before a text is checked. */
const pause = 120;
/** Milliseconds of background work after which requests get their turn. */
const slice = 10;

const capabilities: ServerCapabilities = {
  textDocumentSync: TextDocumentSyncKind.Incremental,
  completionProvider: { triggerCharacters: ['.', '"', '(', '{', ',', ' ', '@', '/'] },
  hoverProvider: true,
  definitionProvider: true,
  referencesProvider: true,
  renameProvider: { prepareProvider: true },
  documentFormattingProvider: true,
  documentSymbolProvider: true,
  foldingRangeProvider: true,
  codeActionProvider: { codeActionKinds: ['quickfix'] },
  inlayHintProvider: true,
  semanticTokensProvider: { legend, full: true },
};

/** Serves until the client says `exit` or goes away. */
export function serve(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Promise<void> {
  const connection = createConnection(new StreamMessageReader(input), new StreamMessageWriter(output));
  const over = new Promise<void>((done) => {
    connection.onExit(() => done());
    input.on('close', () => done());
    input.on('end', () => done());
  });
  new Server(connection).listen();
  return over;
}

class Server {
  private readonly texts = new TextDocuments(TextDocument);
  private readonly views = new Map<string, { readonly view: Folder; analysis?: Analysis }>();
  private readonly cache = new Map<string, { key: string | number; document: Document }>();
  private readonly models = new Models(() => this.changed());
  private readonly timers = new Map<string, NodeJS.Timeout>();
  /** The last finished analysis of each text: requests are answered from it while the next one is made. */
  private readonly finished = new Map<string, { readonly text: string; readonly analysis: Analysis }>();
  private readonly first = new Map<string, { done(): void; readonly promise: Promise<void> }>();
  private folders: readonly string[] = [];
  private refresh = { hints: false, configuration: false };

  constructor(private readonly connection: Connection) {}

  listen(): void {
    const c = this.connection;
    c.onInitialize((p) => {
      const roots = p.workspaceFolders?.map((f) => f.uri) ?? (p.rootUri ? [p.rootUri] : []);
      this.folders = roots.filter((u) => u.startsWith('file:')).map((u) => fileURLToPath(u));
      this.refresh = {
        hints: p.capabilities.workspace?.inlayHint?.refreshSupport === true,
        configuration: p.capabilities.workspace?.configuration === true,
      };
      this.models.setting = settingOf(p.initializationOptions);
      return { capabilities, serverInfo: { name: 'qc' } };
    });
    c.onInitialized(() => void this.configure());
    c.onDidChangeConfiguration(() => void this.configure());
    c.onDidChangeWatchedFiles(() => this.changed());
    this.texts.onDidChangeContent((e) => this.changed(e.document.uri));
    this.texts.onDidClose((e) => {
      clearTimeout(this.timers.get(e.document.uri));
      this.finished.delete(e.document.uri);
      this.first.get(e.document.uri)?.done();
      this.first.delete(e.document.uri);
      this.changed();
      void c.sendDiagnostics({ uri: e.document.uri, diagnostics: [] });
    });
    this.features(c);
    this.texts.listen(c);
    c.listen();
  }

  private features(c: Connection): void {
    c.onCompletion(this.at((v, p) => completion(v, v.root, v.root.offsetAt(p.position)), []));
    c.onHover(this.at((v, p) => hover(v, v.root, v.root.offsetAt(p.position), () => this.latest(p.textDocument.uri)) ?? null, null, true));
    c.onDefinition(this.at((v, p) => definition(v, v.root, v.root.offsetAt(p.position)) ?? null, null));
    c.onReferences(this.at((v, p) => references(v, v.root, v.root.offsetAt(p.position), p.context.includeDeclaration), []));
    c.onPrepareRename(this.at((v, p) => allowed(prepareRename(v, v.root, v.root.offsetAt(p.position))), null));
    c.onRenameRequest(this.at((v, p) => allowed(rename(v, v.root, v.root.offsetAt(p.position), p.newName)), null));
    c.onDocumentFormatting(this.at((v) => formatting(v.root), []));
    c.onDocumentSymbol(this.at((v) => symbols(v.root), []));
    c.onFoldingRanges(this.at((v) => folding(v.root), []));
    c.onCodeAction(this.at((v, p) => actions(v, v.root, this.latest(p.textDocument.uri), p.range), [], true));
    c.languages.inlayHint.on(this.at((v, p) => inlay(v, v.root, p.range, () => this.latest(p.textDocument.uri)), [], true));
    c.languages.semanticTokens.on(this.at((v) => semanticTokens(v, v.root), { data: [] }));
  }

  /** A request on an open text. Others go first, so that what was cancelled meanwhile is not computed; `model`: waits until it has been read. */
  private at<P extends { readonly textDocument: { readonly uri: string } }, R>(
    answer: (view: Folder, p: P) => R,
    none: R,
    model = false,
  ): (p: P, token: CancellationToken) => Promise<R | ResponseError<void>> {
    return async (p, token) => {
      await new Promise((done) => setImmediate(done));
      if (model) await this.once(p.textDocument.uri);
      if (token.isCancellationRequested) return new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
      const view = this.view(p.textDocument.uri);
      return view ? answer(view, p) : none;
    };
  }

  private view(uri: string): Folder | undefined {
    const known = this.views.get(uri);
    if (known) return known.view;
    const open = this.texts.get(uri);
    if (!open || !uri.startsWith('file:')) return undefined;
    const byPath = new Map<string, Open>(this.texts.all().map((t) => [pathOf(t.uri), t]));
    const view = new Folder(open, folderOf(uri, this.folders), (path) => byPath.get(path), this.cache, this.models);
    this.views.set(uri, { view });
    return view;
  }
  private analysis(uri: string): Analysis {
    const view = this.view(uri);
    const held = this.views.get(uri);
    if (!view || !held) return nothing;
    held.analysis ??= analyze(view, view.root);
    return held.analysis;
  }
  /** What is known of a text: of this version where it is analyzed, else of the last one. */
  private latest(uri: string): Analysis {
    const known = this.finished.get(uri);
    const text = this.texts.get(uri)?.getText();
    if (!known || text === undefined) return nothing;
    return known.text === text ? known.analysis : since(known.analysis, this.view(uri)?.root.path ?? '', moved(known.text, text));
  }
  /** Waits until a text was analyzed for the first time. */
  private once(uri: string): Promise<void> {
    if (this.finished.has(uri) || !this.texts.get(uri) || !uri.startsWith('file:')) return Promise.resolve();
    const known = this.first.get(uri);
    if (known) return known.promise;
    let done = (): void => undefined;
    const promise = new Promise<void>((r) => {
      done = r;
    });
    this.first.set(uri, { done, promise });
    return promise;
  }

  /** Something is different: views are made anew, and open texts are checked when nothing has changed for a while. */
  private changed(uri?: string): void {
    this.views.clear();
    for (const open of this.texts.all()) {
      clearTimeout(this.timers.get(open.uri));
      const soon = uri === undefined || open.uri === uri ? pause : 2 * pause;
      this.timers.set(
        open.uri,
        setTimeout(() => void this.tell(open.uri), soon),
      );
    }
    if (uri === undefined && this.refresh.hints) this.connection.languages.inlayHint.refresh().catch(() => undefined);
  }
  private async tell(uri: string): Promise<void> {
    const view = this.view(uri);
    const version = this.texts.get(uri)?.version;
    if (!view || version === undefined) return;
    try {
      await this.models.settled(view.root, view.rootPath, view.base);
      const analysis = await this.analyzed(uri, view);
      if (!analysis) return;
      const found = everything(analysis);
      const trouble = this.models.trouble(view.root, view.rootPath, view.base);
      const all = diagnostics(view, view.root, [...found, ...trouble]);
      await this.connection.sendDiagnostics({ uri, version, diagnostics: all });
    } catch (error) {
      this.first.get(uri)?.done();
      this.first.delete(uri);
      this.connection.console.error(`qc lsp: ${error instanceof Error ? error.stack : String(error)}`);
    }
    // For tests, and for clients that wait: everything has been said of this version.
    await this.connection.sendNotification('$/qc/checked', { uri, version });
  }
  /** Analyzes in slices, one recipe each, so that requests go between; undefined where the text changed meanwhile. */
  private async analyzed(uri: string, view: Folder): Promise<Analysis | undefined> {
    const stale = (): boolean => this.views.get(uri)?.view !== view;
    if (stale()) return undefined;
    const analysis = this.analysis(uri);
    let began = performance.now();
    for (const r of analysis.program?.recipes ?? []) {
      if (performance.now() - began > slice) {
        await new Promise((done) => setImmediate(done));
        if (stale()) return undefined;
        began = performance.now();
      }
      analysis.plan(r.name);
    }
    this.finished.set(uri, { text: view.root.text, analysis });
    this.first.get(uri)?.done();
    this.first.delete(uri);
    return analysis;
  }
  private async configure(): Promise<void> {
    if (!this.refresh.configuration) return;
    const found: unknown = await this.connection.workspace.getConfiguration('qrecipe').catch(() => undefined);
    const before = this.models.setting;
    this.models.setting = settingOf(found);
    if (before !== this.models.setting) this.changed();
  }
}

const settingOf = (o: unknown): string => {
  const model = typeof o === 'object' && o !== null ? (o as Record<string, unknown>)['model'] : undefined;
  return typeof model === 'string' ? model : '';
};
const pathOf = (uri: string): string => (uri.startsWith('file:') ? fileURLToPath(uri) : uri);

/** A refusal is an answer with words, not a failure of the server. */
function allowed<R extends object>(r: R | Refused): R | ResponseError<void> {
  return 'refused' in r ? new ResponseError(LSPErrorCodes.RequestFailed, r.refused) : r;
}
