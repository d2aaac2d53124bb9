import { libc } from '../../lib/index.ts';

if (process.argv[2] === 'full') {
  try {
    libc.print('to a full disk\n');
  } catch (error) {
    console.error(String(error));
  }
} else {
  console.log('console 1');
  libc.print('C 1\n');
  libc.print('C ');
  libc.print('2\n');
  console.log('console 2');
  libc.print('grüße, 世界\n');
  libc.print('');
  libc.print('C 3\n');
  console.log('console 3');
  console.log('console 4');
}
