import { PipeJob, Collector } from './pipe-job.js'
const job = await PipeJob.prepare(1)
const t = await job.open(0) as any
const r={frame(){}}
let sleeps=0; const os=t.sleeper.sleep.bind(t.sleeper); t.sleeper.sleep=(m:number)=>{sleeps++;return os(m)}
let looks=0; const ol=t.inbox.look.bind(t.inbox); t.inbox.look=()=>{looks++;return ol()}
for(let w=0;w<4;w++){ sleeps=looks=0; const b=process.cpuUsage(), s=performance.now(); let polls=0
 while(performance.now()-s<1000){ t.poll(r,16); polls++; t.park(10)}
 const u=process.cpuUsage(b); console.log({w,polls,sleeps,looks,user:u.user,sys:u.system}) }
await job.close()
const ia=new Int32Array(new SharedArrayBuffer(4))
{ const b=process.cpuUsage(), s=performance.now(); while(performance.now()-s<1000) Atomics.wait(ia,0,0,10);  const u=process.cpuUsage(b); console.log('bare',u)}
