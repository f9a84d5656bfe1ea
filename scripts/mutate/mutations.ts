// Finds all changes that `npm run mutate` can make to one source file, in its syntax tree.

import {
  isArrowFunction,
  isBinaryExpression,
  isBlock,
  isCallExpression,
  isConditionalExpression,
  isConstructorDeclaration,
  isDoStatement,
  isExpressionStatement,
  isFunctionDeclaration,
  isIfStatement,
  isMethodDeclaration,
  isNumericLiteral,
  isObjectLiteralExpression,
  isPrefixUnaryExpression,
  isPropertyAssignment,
  isTypeNode,
  isWhileStatement,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';

/** One change of one file. */
export interface Mutation {
  /** Path relative to the project's folder. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Number of the first changed line, from 1. */
  readonly line: number;
  /** That line of the file, without its indent. */
  readonly source: string;
  /** Description of the change, on one line. */
  readonly change: string;
}

const OTHER_OPERATOR: Partial<Record<SyntaxKind, string>> = {
  [SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [SyntaxKind.LessThanToken]: '<=',
  [SyntaxKind.LessThanEqualsToken]: '<',
  [SyntaxKind.GreaterThanToken]: '>=',
  [SyntaxKind.GreaterThanEqualsToken]: '>',
  [SyntaxKind.AmpersandAmpersandToken]: '||',
  [SyntaxKind.BarBarToken]: '&&',
  [SyntaxKind.PlusToken]: '-',
  [SyntaxKind.MinusToken]: '+',
  [SyntaxKind.PlusEqualsToken]: '-=',
  [SyntaxKind.MinusEqualsToken]: '+=',
  [SyntaxKind.AsteriskToken]: '+',
  [SyntaxKind.LessThanLessThanToken]: '>>>',
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken]: '<<',
  [SyntaxKind.AmpersandToken]: '|',
  [SyntaxKind.BarToken]: '&',
};

/** Calls of a logger are not mutated, because tests need not check log texts. */
const LOG_CALL = /^(this\.)?(#?\w+\.)*#?(log|logger)\.(debug|info|warn|error)\(/;

const LONGEST_WORDS = 60;

/** All mutations of `sourceFile`, in the order of the file. The caller checks that they compile. */
export function mutationsOf(sourceFile: SourceFile, file: string): Mutation[] {
  const { text } = sourceFile;
  const found: Mutation[] = [];

  const oneLine = (words: string): string => {
    const flat = words.replaceAll(/\s+/g, ' ').trim();
    return flat.length <= LONGEST_WORDS ? flat : `${flat.slice(0, LONGEST_WORDS)}...`;
  };
  const add = (start: number, end: number, replacement: string, change?: string): void => {
    const line = text.slice(0, start).split('\n').length;
    const lineStart = text.lastIndexOf('\n', start - 1) + 1;
    const lineEnd = text.indexOf('\n', start);
    found.push({
      ...{ file, start, end, replacement, line },
      source: text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).trim(),
      change: change ?? `${oneLine(text.slice(start, end))} -> ${oneLine(replacement)}`,
    });
  };
  const startOf = (node: Node): number => node.getStart(sourceFile);
  const textOf = (node: Node): string => text.slice(startOf(node), node.end);
  const negate = (condition: Node): void => {
    // A condition whose operator can be changed is not negated as a whole, too.
    if (isBinaryExpression(condition) && OTHER_OPERATOR[condition.operatorToken.kind]) return;
    if (isPrefixUnaryExpression(condition)) return;
    add(startOf(condition), condition.end, `!(${textOf(condition)})`);
  };
  const swap = (nodes: readonly Node[]): void => {
    for (const [index, second] of nodes.entries()) {
      const first = nodes[index - 1];
      if (first === undefined || textOf(first) === textOf(second)) continue;
      const between = text.slice(first.end, startOf(second));
      const swapped = textOf(second) + between + textOf(first);
      add(
        startOf(first),
        second.end,
        swapped,
        `${oneLine(textOf(first))} and ${oneLine(textOf(second))} swapped`,
      );
    }
  };

  const visit = (node: Node): void => {
    if (isTypeNode(node)) return;
    switch (node.kind) {
      case SyntaxKind.ImportDeclaration:
      case SyntaxKind.InterfaceDeclaration:
      case SyntaxKind.TypeAliasDeclaration:
        return;
      case SyntaxKind.TrueKeyword:
        add(startOf(node), node.end, 'false');
        return;
      case SyntaxKind.FalseKeyword:
        add(startOf(node), node.end, 'true');
        return;
    }
    if (isNumericLiteral(node)) add(startOf(node), node.end, `(${textOf(node)} + 1)`);
    if (isBinaryExpression(node)) {
      const { operatorToken } = node;
      const other = OTHER_OPERATOR[operatorToken.kind];
      if (other !== undefined) {
        const change = `${oneLine(textOf(node))}: ${textOf(operatorToken)} -> ${other}`;
        add(startOf(operatorToken), operatorToken.end, other, change);
      }
    }
    if (isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken) {
      add(
        startOf(node),
        node.end,
        `!!(${textOf(node.operand)})`,
        `${oneLine(textOf(node))}: without !`,
      );
    }
    if (isIfStatement(node) || isWhileStatement(node) || isDoStatement(node))
      negate(node.expression);
    if (isConditionalExpression(node)) negate(node.condition);
    if (isExpressionStatement(node)) {
      if (LOG_CALL.test(textOf(node))) return;
      // The types exclude this branch.
      if (textOf(node).startsWith('assertNever(')) return;
      if (endsInCall(node.expression)) {
        add(startOf(node), node.end, '{}', `${oneLine(textOf(node))} removed`);
      }
    }
    // Math.min and Math.max do not depend on the order of their arguments.
    if (isCallExpression(node) && !/^Math\.(min|max)\(/.test(textOf(node))) swap(node.arguments);
    if (isObjectLiteralExpression(node)) {
      swap(node.properties.filter(isPropertyAssignment).map(({ initializer }) => initializer));
    }
    if (
      (isFunctionDeclaration(node) ||
        isMethodDeclaration(node) ||
        isArrowFunction(node) ||
        isConstructorDeclaration(node)) &&
      node.body !== undefined &&
      isBlock(node.body) &&
      node.body.statements.length > 0
    ) {
      const { body } = node;
      const at = startOf(body) + 1;
      add(
        at,
        at,
        ' return;',
        `${oneLine(text.slice(startOf(node), startOf(body)))}: returns at once`,
      );
    }
    node.forEachChild(visit);
  };
  sourceFile.forEachChild(visit);
  return found;
}

/** Whether the expression is `f()`, `await f()` or `void f()`. */
function endsInCall(expression: Node): boolean {
  if (isCallExpression(expression)) return expression.expression.kind !== SyntaxKind.SuperKeyword;
  const inner = (expression as { readonly expression?: Node }).expression;
  const wraps =
    expression.kind === SyntaxKind.AwaitExpression || expression.kind === SyntaxKind.VoidExpression;
  return wraps && inner !== undefined && endsInCall(inner);
}
