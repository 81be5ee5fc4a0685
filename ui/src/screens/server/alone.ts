/** Nothing but this can be reached by keyboard, or is read aloud, until what is given back is called. */
export function alone(element: HTMLElement): () => void {
  const hidden: HTMLElement[] = [];
  for (let inner: HTMLElement = element; inner.parentElement; inner = inner.parentElement) {
    for (const other of inner.parentElement.children) {
      if (other !== inner && other instanceof HTMLElement && !other.inert) hidden.push(other);
    }
  }
  for (const each of hidden) each.inert = true;
  return () => {
    for (const each of hidden) each.inert = false;
  };
}
