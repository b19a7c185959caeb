/** The extension: starts `qc lsp` and lets the language client do the rest. */
import { type ExtensionContext, window, workspace } from 'vscode';
import { LanguageClient, TransportKind } from 'vscode-languageclient/node';

let client: LanguageClient | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  // `inspect` instead of `get`: a workspace must not say what is started.
  const command = workspace.getConfiguration('qrecipe').inspect<string>('command')?.globalValue || 'qc';
  const run = { command, args: ['lsp'], transport: TransportKind.stdio, options: { shell: process.platform === 'win32' } };
  client = new LanguageClient('qrecipe', 'Quantization recipes', run, {
    documentSelector: [{ scheme: 'file', language: 'qrecipe' }],
    synchronize: { configurationSection: 'qrecipe', fileEvents: workspace.createFileSystemWatcher('**/*.{qrecipe,onnx}') },
  });
  context.subscriptions.push(client);
  try {
    await client.start();
  } catch {
    await window.showErrorMessage(
      `\`${command} lsp\` did not start. Install it with \`npm install -g qrecipe\`, or name the program in the setting qrecipe.command.`,
    );
  }
}

export const deactivate = (): Promise<void> | undefined => client?.stop();
